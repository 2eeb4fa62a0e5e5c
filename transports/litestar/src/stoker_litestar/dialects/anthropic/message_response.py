"""Whole messages: from events to the bytes of an answer."""

from __future__ import annotations

from typing import Any

import msgspec

from stoker.dialect import ResponseContext, ResponseEncoder
from stoker.events import ChoiceFinished, Event, Failed, Finished, FinishReason
from stoker_litestar.dialects.answer_blocks import AnswerBlock, AnswerBlocks, BlockKind
from stoker_litestar.dialects.anthropic.error import error_object
from stoker_litestar.dialects.anthropic.stop_reason import StopReason
from stoker_litestar.dialects.anthropic.wire.encoder import encode
from stoker_litestar.dialects.anthropic.wire.response import (
    UNSIGNED,
    BlockObject,
    MessageObject,
    TextObject,
    ThinkingObject,
    ToolUseObject,
)
from stoker_litestar.dialects.anthropic.wire.usage import UsageObject

INVALID_JSON = "INVALID_JSON"
"""The key of an input that is no JSON object; the one that Anthropic's documentation proposes."""


class MessageEncoder(ResponseEncoder):
    """Makes one JSON object of all events."""

    content_type = "application/json"

    def __init__(
        self, context: ResponseContext, *, model: str, max_tokens: int, hides_thinking: bool
    ) -> None:
        self._context = context
        self._model = model
        self._max_tokens = max_tokens
        self._hides_thinking = hides_thinking
        self._blocks = AnswerBlocks()
        self._finished = ChoiceFinished(FinishReason.STOP)

    def feed(self, event: Event) -> bytes:
        """Collect; the last event brings everything."""
        match event:
            case ChoiceFinished():
                self._finished = event
            case Finished():
                return self._whole(event)
            case Failed():
                return error_object(event.error)
            case _:
                self._blocks.take(event)
        return b""

    def _whole(self, event: Finished) -> bytes:
        stop = StopReason.of(self._finished, event.usage, self._max_tokens)
        return encode(
            MessageObject(
                id=message_id(self._context),
                model=self._model,
                content=[self._block(block) for block in self._blocks.all],
                stop_reason=stop.reason,
                stop_sequence=stop.sequence,
                usage=UsageObject.from_domain(event.usage),
            )
        )

    def _block(self, block: AnswerBlock) -> BlockObject:
        match block.kind:
            case BlockKind.TEXT:
                return TextObject(text=block.text)
            case BlockKind.REASONING:
                thinking = "" if self._hides_thinking else block.text
                return ThinkingObject(thinking=thinking, signature=UNSIGNED)
            case BlockKind.CALL:
                return ToolUseObject(id=block.id, name=block.name, input=input_of(block.text))


def message_id(context: ResponseContext) -> str:
    """The id of an answer."""
    return f"msg_{context.id}"


def input_of(arguments: str) -> dict[str, Any]:
    """A call's input; what the model wrote is kept when it is no JSON object."""
    if not arguments.strip():
        return {}
    try:
        found = msgspec.json.decode(arguments)
    except (msgspec.DecodeError, RecursionError):
        found = None
    return found if isinstance(found, dict) else {INVALID_JSON: arguments}
