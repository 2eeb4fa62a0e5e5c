"""Responses: from a request's bytes to the internal request."""

from __future__ import annotations

import functools
from collections.abc import Iterable

import msgspec

from stoker.archive import Record
from stoker.dialect import Call, Continuation
from stoker.errors import NotFoundError, UnsupportedFeatureError
from stoker.request import Constraint, ConstraintKind, GenerateRequest
from stoker.sampling import SamplingParams
from stoker_litestar.dialects.json_body import decode_body, field_error
from stoker_litestar.dialects.openai.error import PreviousResponseNotFoundError
from stoker_litestar.dialects.responses.conversation import Conversation
from stoker_litestar.dialects.responses.plan import ResponsePlan
from stoker_litestar.dialects.responses.prompt import prompt_of
from stoker_litestar.dialects.responses.response_encoder import (
    ResponseStreamEncoder,
    WholeResponseEncoder,
)
from stoker_litestar.dialects.responses.response_fields import RESPONSE_FIELDS
from stoker_litestar.dialects.responses.stored import conversation_in
from stoker_litestar.dialects.responses.tools import Tools
from stoker_litestar.dialects.responses.wire.items import Item
from stoker_litestar.dialects.responses.wire.request import (
    JsonObjectFormat,
    JsonSchemaFormat,
    ResponseRequest,
)
from stoker_litestar.dialects.responses.wire.response import ResponseObject, summary_of

_DECODER = msgspec.json.Decoder(ResponseRequest)
_LOGPROBS = "message.output_text.logprobs"
_INCLUDABLE = (
    _LOGPROBS,
    "reasoning.encrypted_content",
    "message.input_image.image_url",
    "file_search_call.results",
    "web_search_call.results",
    "web_search_call.action.sources",
    "computer_call_output.output.image_url",
    "code_interpreter_call.outputs",
)


def decode_response(body: bytes) -> Call | Continuation:
    """Decode the body of `POST /v1/responses`.

    Raises:
        InvalidRequestError: A field is unknown, malformed, out of range or refused; names it.
    """
    wire = decode_body(_DECODER, body)
    RESPONSE_FIELDS.check(wire)
    if wire.previous_response_id is None:
        return _call(wire, ())
    return Continuation(wire.previous_response_id, functools.partial(_resumed, wire))


def refuse_compaction(_body: bytes) -> Call:
    """Answer `POST /v1/responses/compact`, which stands where an id could.

    Raises:
        NotFoundError: Always.
    """
    raise NotFoundError("Conversations are not compacted here: send what the model should read.")


def _resumed(wire: ResponseRequest, record: Record | None) -> Call:
    return _call(wire, before(wire.previous_response_id, record))


def before(record_id: str | None, record: Record | None) -> list[Item]:
    """The conversation that a request goes on from.

    Raises:
        PreviousResponseNotFoundError: There is none.
    """
    if record is None:
        raise PreviousResponseNotFoundError(
            f"Previous response with id {record_id!r} not found: it was not kept, or it is gone.",
            param="previous_response_id",
        )
    return conversation_in(record)


def _call(wire: ResponseRequest, past: Iterable[Item]) -> Call:
    conversation = Conversation.of(wire.input, past)
    tools = Tools.of(wire.tools, wire.tool_choice)
    _check_stream_options(wire)
    request = GenerateRequest(
        model=wire.model,
        prompt=prompt_of(wire, conversation, tools),
        sampling=SamplingParams(
            temperature=wire.temperature,
            top_k=wire.top_k,
            top_p=wire.top_p,
            min_p=wire.min_p,
            presence_penalty=wire.presence_penalty,
            frequency_penalty=wire.frequency_penalty,
            seed=wire.seed,
            logprobs=_logprobs(wire),
        ),
        max_tokens=wire.max_output_tokens,
        stop=(wire.stop,) if isinstance(wire.stop, str) else tuple(wire.stop or ()),
        constraint=_constraint(wire),
    )
    plan = ResponsePlan(
        ResponseObject.echo(wire, tools), conversation, summarises=summary_of(wire) is not None
    )
    kind = ResponseStreamEncoder if wire.stream else WholeResponseEncoder
    return Call(request, stream=bool(wire.stream), encoder=functools.partial(kind, plan=plan))


def _check_stream_options(wire: ResponseRequest) -> None:
    if wire.stream_options is None:
        return
    if not wire.stream:
        raise field_error("stream_options", "it is only for streams: set stream to true")
    if wire.stream_options.include_obfuscation:
        path = "stream_options.include_obfuscation"
        raise UnsupportedFeatureError(
            f"{path}: answers are not padded against traffic analysis.", param=path
        )


def _logprobs(wire: ResponseRequest) -> int | None:
    for i, item in enumerate(wire.include or ()):
        if item not in _INCLUDABLE:
            raise field_error(f"include[{i}]", f"there is no {item!r}")
    if _LOGPROBS in (wire.include or ()):
        return wire.top_logprobs or 0
    if wire.top_logprobs:
        raise field_error("top_logprobs", f"it needs {_LOGPROBS} in include")
    return None


def _constraint(wire: ResponseRequest) -> Constraint | None:
    param = "text.format"
    match wire.text.format if wire.text is not None else None:
        case JsonObjectFormat():
            return Constraint(ConstraintKind.JSON_OBJECT, param=param)
        case JsonSchemaFormat(schema=schema):
            source = msgspec.json.encode(schema).decode()
            return Constraint(ConstraintKind.JSON_SCHEMA, source, param)
        case _:
            return None
