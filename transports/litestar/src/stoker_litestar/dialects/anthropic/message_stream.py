"""Messages piece by piece: from events to server-sent events.

https://docs.anthropic.com/en/docs/build-with-claude/streaming
"""

from __future__ import annotations

import msgspec

from stoker.dialect import ResponseContext, ResponseEncoder
from stoker.events import (
    ChoiceFinished,
    Event,
    Failed,
    Finished,
    FinishReason,
    Loading,
    Prefill,
    Queued,
    Usage,
)
from stoker_litestar.dialects import sse
from stoker_litestar.dialects.answer_blocks import AnswerBlock, AnswerBlocks, BlockKind, Piece
from stoker_litestar.dialects.anthropic.error import error_object
from stoker_litestar.dialects.anthropic.message_response import message_id
from stoker_litestar.dialects.anthropic.stop_reason import StopReason
from stoker_litestar.dialects.anthropic.wire.encoder import encode
from stoker_litestar.dialects.anthropic.wire.response import (
    UNSIGNED,
    BlockDelta,
    BlockObject,
    BlockStart,
    BlockStop,
    InputPiece,
    MessageDelta,
    MessageObject,
    MessageStart,
    MessageStop,
    Ping,
    SignaturePiece,
    StopDelta,
    TextObject,
    TextPiece,
    ThinkingObject,
    ThinkingPiece,
    ToolUseObject,
)
from stoker_litestar.dialects.anthropic.wire.usage import DeltaUsage, UsageObject


class MessageStreamEncoder(ResponseEncoder):
    """Makes server-sent events: those of the API, in its order."""

    content_type = sse.CONTENT_TYPE

    def __init__(
        self, context: ResponseContext, *, model: str, max_tokens: int, hides_thinking: bool
    ) -> None:
        self._context = context
        self._model = model
        self._max_tokens = max_tokens
        self._hides_thinking = hides_thinking
        self._blocks = AnswerBlocks()
        self._open: AnswerBlock | None = None
        self._started = False
        self._finished = ChoiceFinished(FinishReason.STOP)

    def feed(self, event: Event) -> bytes:
        """Encode what the event brings; a request that waits is told by pings."""
        match event:
            case Queued() | Loading():
                return _PING
            case Prefill():
                return _PING if self._started else self._start(event)
            case ChoiceFinished():
                self._finished = event
                return b""
            case Finished():
                return self._begun() + self._close() + self._end(event)
            case Failed():
                return sse.named_event("error", error_object(event.error))
            case _:
                piece = self._blocks.take(event)
                return b"" if piece is None else self._begun() + self._piece(piece)

    def _begun(self) -> bytes:
        return b"" if self._started else self._start(Prefill(0, 0))

    def _start(self, event: Prefill) -> bytes:
        self._started = True
        usage = Usage(event.total, 0, cached_tokens=event.cached)
        message = MessageObject(
            id=message_id(self._context),
            model=self._model,
            content=[],
            stop_reason=None,
            stop_sequence=None,
            usage=UsageObject.from_domain(usage),
        )
        return _event(MessageStart(message))

    def _piece(self, piece: Piece) -> bytes:
        data = b""
        block = piece.block
        if piece.begins:
            data = self._close() + _event(BlockStart(block.index, _empty(block)))
            self._open = block
        if not piece.text or (block.kind is BlockKind.REASONING and self._hides_thinking):
            return data
        delta: TextPiece | ThinkingPiece | InputPiece
        match block.kind:
            case BlockKind.TEXT:
                delta = TextPiece(piece.text)
            case BlockKind.REASONING:
                delta = ThinkingPiece(piece.text)
            case BlockKind.CALL:
                delta = InputPiece(piece.text)
        return data + _event(BlockDelta(block.index, delta))

    def _close(self) -> bytes:
        """End the block that is open."""
        block, self._open = self._open, None
        if block is None:
            return b""
        data = _event(BlockStop(block.index))
        if block.kind is BlockKind.REASONING:
            return _event(BlockDelta(block.index, SignaturePiece(UNSIGNED))) + data
        return data

    def _end(self, event: Finished) -> bytes:
        stop = StopReason.of(self._finished, event.usage, self._max_tokens)
        delta = StopDelta(stop_reason=stop.reason, stop_sequence=stop.sequence)
        return _event(MessageDelta(delta, DeltaUsage.from_domain(event.usage))) + _STOP


def _empty(block: AnswerBlock) -> BlockObject:
    match block.kind:
        case BlockKind.TEXT:
            return TextObject(text="")
        case BlockKind.REASONING:
            return ThinkingObject(thinking="", signature="")
        case BlockKind.CALL:
            return ToolUseObject(id=block.id, name=block.name, input={})


def _event(event: msgspec.Struct) -> bytes:
    return sse.named_event(str(event.__struct_config__.tag), encode(event))


_PING = _event(Ping())
_STOP = _event(MessageStop())
