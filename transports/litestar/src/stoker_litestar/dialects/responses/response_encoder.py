"""Responses: from events to the bytes of an answer, whole or piece by piece."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec

from stoker import errors
from stoker.archive import Record
from stoker.dialect import ResponseContext, ResponseEncoder
from stoker.errors import StokerError
from stoker.events import (
    ChoiceFinished,
    Event,
    Failed,
    Finished,
    FinishReason,
    Loading,
    Prefill,
    Queued,
)
from stoker_litestar.dialects import sse
from stoker_litestar.dialects.answer_blocks import AnswerBlock, AnswerBlocks, Piece
from stoker_litestar.dialects.openai.error import error_object
from stoker_litestar.dialects.openai.wire.encoder import encode
from stoker_litestar.dialects.responses.output_items import OutputItems
from stoker_litestar.dialects.responses.plan import ResponsePlan
from stoker_litestar.dialects.responses.stored import record_of
from stoker_litestar.dialects.responses.wire import events
from stoker_litestar.dialects.responses.wire.response import (
    ErrorObject,
    IncompleteDetails,
    ResponseObject,
)
from stoker_litestar.dialects.responses.wire.usage import ResponseUsage

_COMPLETED = "completed"
_INCOMPLETE = "incomplete"
_FAILED = "failed"
_LAST: dict[str, type[Any]] = {
    _COMPLETED: events.Completed,
    _INCOMPLETE: events.Incomplete,
    _FAILED: events.FailedEvent,
}


class WholeResponseEncoder(ResponseEncoder):
    """Makes one JSON object of all events."""

    content_type = "application/json"

    def __init__(self, context: ResponseContext, *, plan: ResponsePlan) -> None:
        self._plan = plan
        self._context = context
        self._begun = msgspec.structs.replace(
            plan.echo,
            id=f"resp_{context.id}",
            created_at=context.created_s,
            store=plan.echo.store and context.archived,
        )
        self._items = OutputItems(context.id, plan.summarises)
        self._blocks = AnswerBlocks()
        self._reason = FinishReason.STOP
        self._response: ResponseObject | None = None

    def feed(self, event: Event) -> bytes:
        """Collect; the last event brings everything."""
        match event:
            case ChoiceFinished(reason=reason):
                self._reason = reason
            case Finished():
                return encode(self._finished(event))
            case Failed():
                return error_object(event.error)
            case _:
                self._blocks.take(event)
        return b""

    @property
    def record(self) -> Record | None:
        """The response with its conversation, unless the request wants nothing kept."""
        if self._response is None or not self._response.store:
            return None
        return record_of(self._response, self._plan.conversation.items)

    @property
    def _status(self) -> str:
        return _INCOMPLETE if self._reason is FinishReason.LENGTH else _COMPLETED

    def _item_status(self, block: AnswerBlock) -> str:
        """Only the last item can be cut off."""
        return self._status if block is self._blocks.all[-1] else _COMPLETED

    def _finished(self, event: Finished) -> ResponseObject:
        cut_off = self._status == _INCOMPLETE
        spent_s = event.timings.prefill_s + event.timings.decode_s
        self._response = msgspec.structs.replace(
            self._begun,
            status=self._status,
            completed_at=None if cut_off else self._context.created_s + round(spent_s),
            incomplete_details=IncompleteDetails("max_output_tokens") if cut_off else None,
            output=[self._items.item(item, self._item_status(item)) for item in self._blocks.all],
            usage=ResponseUsage.from_domain(event.usage),
        )
        return self._response


class ResponseStreamEncoder(WholeResponseEncoder):
    """Makes server-sent events: those of the API, in its order."""

    content_type = sse.CONTENT_TYPE

    def __init__(self, context: ResponseContext, *, plan: ResponsePlan) -> None:
        super().__init__(context, plan=plan)
        self._started = False
        self._open: AnswerBlock | None = None

    def feed(self, event: Event) -> bytes:
        """Encode what the event brings; a request that waits is told by comments."""
        if isinstance(event, Queued | Loading):
            return sse.waiting(event)
        return b"".join(map(_encoded, self._events(event)))

    def _events(self, event: Event) -> Iterator[events.StreamEvent]:
        match event:
            case ChoiceFinished(reason=reason):
                self._reason = reason
            case Prefill():
                yield from self._start()
            case Finished():
                yield from self._start()
                yield from self._close(self._status)
                yield self._about(_LAST[self._status], self._finished(event))
            case Failed():
                yield from self._start()
                yield self._about(_LAST[_FAILED], self._failed(event.error))
            case _:
                piece = self._blocks.take(event)
                if piece is not None:
                    yield from self._start()
                    yield from self._piece(piece)

    def _start(self) -> Iterator[events.StreamEvent]:
        if not self._started:
            self._started = True
            yield self._about(events.Created, self._begun)
            yield self._about(events.InProgress, self._begun)

    def _piece(self, piece: Piece) -> Iterator[events.StreamEvent]:
        if piece.begins:
            yield from self._close(_COMPLETED)
            self._open = piece.block
            yield from self._items.began(piece.block)
        if piece.text or piece.logprobs:
            yield self._items.more(piece)

    def _close(self, status: str) -> Iterator[events.StreamEvent]:
        """End the item that is open."""
        block, self._open = self._open, None
        if block is not None:
            yield from self._items.ended(block, status)

    def _about(self, kind: type[Any], response: ResponseObject) -> events.StreamEvent:
        found: events.StreamEvent = kind(
            sequence_number=self._items.numbers.next(), response=response
        )
        return found

    def _failed(self, error: StokerError) -> ResponseObject:
        blocks = self._blocks.all
        return msgspec.structs.replace(
            self._begun,
            status=_FAILED,
            error=ErrorObject(_error_code(error), error.message),
            output=[
                self._items.item(block, _INCOMPLETE if block is self._open else _COMPLETED)
                for block in blocks
            ],
        )


def _encoded(event: events.StreamEvent) -> bytes:
    return sse.named_event(str(event.__struct_config__.tag), encode(event))


def _error_code(error: StokerError) -> str:
    """The code inside of a response; the API has few that fit."""
    match error:
        case errors.TooManyRequestsError():
            return "rate_limit_exceeded"
        case errors.InvalidRequestError():
            return "invalid_prompt"
        case _:
            return "server_error"
