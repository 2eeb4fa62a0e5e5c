"""Messages: from a request's bytes to the internal request."""

from __future__ import annotations

import functools

import msgspec

from stoker.dialect import Call
from stoker.request import Constraint, ConstraintKind, GenerateRequest
from stoker.sampling import SamplingParams
from stoker_litestar.dialects.anthropic.message_fields import MESSAGE_FIELDS
from stoker_litestar.dialects.anthropic.message_response import MessageEncoder
from stoker_litestar.dialects.anthropic.message_stream import MessageStreamEncoder
from stoker_litestar.dialects.anthropic.prompt import prompt_of
from stoker_litestar.dialects.anthropic.wire.request import (
    MessagesRequest,
    PromptFields,
    ThinkingAdaptive,
    ThinkingEnabled,
)
from stoker_litestar.dialects.json_body import decode_body, field_error

_DECODER = msgspec.json.Decoder(MessagesRequest)


def decode_message(body: bytes) -> Call:
    """Decode the body of `POST /v1/messages`.

    Raises:
        InvalidRequestError: A field is unknown, malformed, out of range or refused; names it.
    """
    wire = decode_body(_DECODER, body)
    MESSAGE_FIELDS.check(wire)
    request = GenerateRequest(
        model=wire.model,
        prompt=prompt_of(wire),
        sampling=SamplingParams(temperature=wire.temperature, top_k=wire.top_k, top_p=wire.top_p),
        max_tokens=wire.max_tokens,
        stop=_stop_strings(wire),
        constraint=_constraint(wire),
    )
    kind: type[MessageEncoder | MessageStreamEncoder] = (
        MessageStreamEncoder if wire.stream else MessageEncoder
    )
    encoder = functools.partial(
        kind, model=wire.model, max_tokens=wire.max_tokens, hides_thinking=_hides_thinking(wire)
    )
    return Call(request, stream=bool(wire.stream), encoder=encoder)


def _stop_strings(wire: MessagesRequest) -> tuple[str, ...]:
    return tuple(wire.stop_sequences or ())


def _hides_thinking(wire: MessagesRequest) -> bool:
    thinking = wire.thinking
    shown = isinstance(thinking, ThinkingEnabled | ThinkingAdaptive)
    return shown and getattr(thinking, "display", None) == "omitted"


def _constraint(wire: PromptFields) -> Constraint | None:
    config = wire.output_config
    new = config.format if config is not None else None
    if new is not None and wire.output_format is not None:
        raise field_error("output_format", "it clashes with output_config.format: leave it out")
    output, param = (new, "output_config.format") if new else (wire.output_format, "output_format")
    if output is None:
        return None
    source = msgspec.json.encode(output.schema).decode()
    return Constraint(ConstraintKind.JSON_SCHEMA, source, param)
