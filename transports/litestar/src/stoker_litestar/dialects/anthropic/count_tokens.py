"""Counting tokens: from a request's bytes to the internal request, and from events to the count."""

from __future__ import annotations

import msgspec

from stoker.dialect import Call, ResponseContext, ResponseEncoder
from stoker.events import Event, Failed, Finished
from stoker.request import TokenizeRequest
from stoker_litestar.dialects.anthropic.error import error_object
from stoker_litestar.dialects.anthropic.message_fields import COUNT_FIELDS
from stoker_litestar.dialects.anthropic.prompt import prompt_of
from stoker_litestar.dialects.anthropic.wire.encoder import encode
from stoker_litestar.dialects.anthropic.wire.request import PromptFields
from stoker_litestar.dialects.json_body import decode_body

_DECODER = msgspec.json.Decoder(PromptFields)


class TokenCount(msgspec.Struct, frozen=True):
    """The answer."""

    input_tokens: int


def decode_count(body: bytes) -> Call:
    """Decode the body of `POST /v1/messages/count_tokens`.

    Raises:
        InvalidRequestError: A field is unknown, malformed or refused; names it.
    """
    wire = decode_body(_DECODER, body)
    COUNT_FIELDS.check(wire)
    request = TokenizeRequest(model=wire.model, prompt=prompt_of(wire))
    return Call(request, stream=False, encoder=CountEncoder)


class CountEncoder(ResponseEncoder):
    """Says how many tokens the prompt has: those that a message of it would be read as."""

    content_type = "application/json"

    def __init__(self, context: ResponseContext) -> None:
        del context  # The answer has no id.

    def feed(self, event: Event) -> bytes:
        """Take the count from the last event."""
        match event:
            case Finished(usage=usage):
                return encode(TokenCount(usage.prompt_tokens))
            case Failed(error=error):
                return error_object(error)
            case _:
                return b""
