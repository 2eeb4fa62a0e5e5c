"""Text completions: from events to the bytes of an answer."""

from __future__ import annotations

import attrs
from msgspec import UNSET

from stoker.dialect import ResponseContext, ResponseEncoder
from stoker.events import (
    ChoiceFinished,
    Echo,
    Event,
    Failed,
    Finished,
    FinishReason,
    Loading,
    Queued,
    ReasoningDelta,
    TextDelta,
    TokenLogprob,
)
from stoker_litestar.dialects import sse
from stoker_litestar.dialects.openai.chunk_frame import ChunkFrame, stream_end
from stoker_litestar.dialects.openai.error import error_object
from stoker_litestar.dialects.openai.fingerprint import SYSTEM_FINGERPRINT
from stoker_litestar.dialects.openai.finish import FINISH_REASONS
from stoker_litestar.dialects.openai.wire.completion_logprobs import OffsetCounter
from stoker_litestar.dialects.openai.wire.completion_response import Completion, CompletionChoice
from stoker_litestar.dialects.openai.wire.encoder import encode
from stoker_litestar.dialects.openai.wire.usage import TimingsObject, UsageObject


@attrs.define
class _Choice:
    """A choice that is being put together."""

    text: list[str] = attrs.field(factory=list)
    logprobs: list[TokenLogprob] = attrs.field(factory=list)
    finish_reason: FinishReason = FinishReason.STOP


class CompletionEncoder(ResponseEncoder):
    """Makes one JSON object of all events."""

    content_type = "application/json"

    def __init__(self, context: ResponseContext, *, model: str, n: int) -> None:
        self._context = context
        self._model = model
        self._echoes = [Echo("")] * n
        self._choices = [_Choice() for _ in range(n)]

    def feed(self, event: Event) -> bytes:
        """Collect; the last event brings everything."""
        match event:
            case Echo():
                self._echoes[event.index] = event
            case TextDelta():
                choice = self._choices[event.index]
                choice.text.append(event.text)
                choice.logprobs.extend(event.logprobs)
            case ReasoningDelta():
                self._choices[event.index].text.append(event.text)
            case ChoiceFinished():
                self._choices[event.index].finish_reason = event.reason
            case Finished():
                return self._whole(event)
            case Failed():
                return error_object(event.error)
            case _:
                pass
        return b""

    def _whole(self, event: Finished) -> bytes:
        return encode(
            Completion(
                id=f"cmpl-{self._context.id}",
                created=self._context.created_s,
                model=self._model,
                system_fingerprint=SYSTEM_FINGERPRINT,
                choices=[self._choice(index) for index in range(len(self._choices))],
                usage=UsageObject.from_domain(event.usage),
                timings=TimingsObject.from_domain(event.usage, event.timings),
            )
        )

    def _choice(self, index: int) -> CompletionChoice:
        choice = self._choices[index]
        echo, logprobs = self._echoes[index], None
        if choice.logprobs or echo.logprobs:
            offsets = OffsetCounter()
            if not echo.logprobs:
                offsets.skip(echo.text)
            logprobs = offsets.logprobs(choice.logprobs, prompt=echo.logprobs)
        return CompletionChoice(
            text=echo.text + "".join(choice.text),
            index=index,
            logprobs=logprobs,
            finish_reason=FINISH_REASONS[choice.finish_reason],
        )


class CompletionStreamEncoder(ResponseEncoder):
    """Makes server-sent events: one chunk for every event that has something to say."""

    content_type = sse.CONTENT_TYPE

    def __init__(
        self, context: ResponseContext, *, model: str, n: int, include_usage: bool
    ) -> None:
        self._empty = Completion(
            id=f"cmpl-{context.id}",
            created=context.created_s,
            model=model,
            system_fingerprint=SYSTEM_FINGERPRINT,
            choices=[],
            usage=None if include_usage else UNSET,
        )
        self._frame = ChunkFrame.around(self._empty)
        self._offsets = [OffsetCounter() for _ in range(n)]
        self._include_usage = include_usage

    def feed(self, event: Event) -> bytes:
        """Encode the event's chunk."""
        match event:
            case Echo():
                return self._echo(event)
            case TextDelta():
                return self._text(event)
            case ReasoningDelta():
                choice = CompletionChoice(text=event.text, index=event.index)
                return self._frame.event(choice)
            case ChoiceFinished():
                reason = FINISH_REASONS[event.reason]
                choice = CompletionChoice(text="", index=event.index, finish_reason=reason)
                return self._frame.event(choice)
            case Finished():
                return self._end(event)
            case Failed():
                # No [DONE]: the stream did not come to its end.
                return sse.event(error_object(event.error))
            case Queued() | Loading():
                return sse.waiting(event)
            case _:
                return b""

    def _echo(self, event: Echo) -> bytes:
        offsets, logprobs = self._offsets[event.index], None
        if event.logprobs:
            logprobs = offsets.logprobs((), prompt=event.logprobs)
        else:
            offsets.skip(event.text)
        choice = CompletionChoice(text=event.text, index=event.index, logprobs=logprobs)
        return self._frame.event(choice)

    def _text(self, event: TextDelta) -> bytes:
        logprobs = None
        if event.logprobs:
            logprobs = self._offsets[event.index].logprobs(event.logprobs)
        return self._frame.event(
            CompletionChoice(text=event.text, index=event.index, logprobs=logprobs)
        )

    def _end(self, event: Finished) -> bytes:
        return stream_end(self._empty, event, include_usage=self._include_usage)
