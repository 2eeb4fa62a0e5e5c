"""Counting tokens: from a request's bytes to the internal request, and from events to the count."""

from __future__ import annotations

import functools
from collections.abc import Iterable
from typing import Literal

import msgspec

from stoker.archive import Record
from stoker.dialect import Call, Continuation, ResponseContext
from stoker.events import Event, Usage
from stoker.request import TokenizeRequest
from stoker_litestar.dialects.json_body import decode_body
from stoker_litestar.dialects.openai.whole import WholeEncoder
from stoker_litestar.dialects.responses.conversation import Conversation
from stoker_litestar.dialects.responses.prompt import prompt_of
from stoker_litestar.dialects.responses.response_fields import COUNT_FIELDS
from stoker_litestar.dialects.responses.responses import before
from stoker_litestar.dialects.responses.tools import Tools
from stoker_litestar.dialects.responses.wire.items import Item
from stoker_litestar.dialects.responses.wire.request import CountRequest

_DECODER = msgspec.json.Decoder(CountRequest)


class InputTokens(msgspec.Struct, frozen=True):
    """The answer."""

    input_tokens: int
    object: Literal["response.input_tokens"] = "response.input_tokens"


def decode_count(body: bytes) -> Call | Continuation:
    """Decode the body of `POST /v1/responses/input_tokens`.

    Raises:
        InvalidRequestError: A field is unknown, malformed or refused; names it.
    """
    wire = decode_body(_DECODER, body)
    COUNT_FIELDS.check(wire)
    if wire.previous_response_id is None:
        return _call(wire, ())
    return Continuation(wire.previous_response_id, functools.partial(_resumed, wire))


def _resumed(wire: CountRequest, record: Record | None) -> Call:
    return _call(wire, before(wire.previous_response_id, record))


def _call(wire: CountRequest, past: Iterable[Item]) -> Call:
    conversation = Conversation.of(wire.input, past)
    prompt = prompt_of(wire, conversation, Tools.of(wire.tools, wire.tool_choice))
    request = TokenizeRequest(model=wire.model, prompt=prompt)
    return Call(request, stream=False, encoder=InputTokensEncoder)


class InputTokensEncoder(WholeEncoder):
    """Says how many tokens the input has: those that a response to it would be read as."""

    def __init__(self, context: ResponseContext) -> None:
        del context  # The answer has no id.

    def take(self, event: Event) -> None:
        """Keep nothing: the usage tells."""

    def whole(self, usage: Usage) -> InputTokens:
        """The count."""
        return InputTokens(usage.prompt_tokens)
