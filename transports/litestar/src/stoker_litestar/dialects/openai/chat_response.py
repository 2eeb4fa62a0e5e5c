"""Chat completions: from events to the bytes of an answer."""

from __future__ import annotations

import attrs
from msgspec import UNSET

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
    ReasoningDelta,
    TextDelta,
    TokenLogprob,
    ToolCallDelta,
)
from stoker_litestar.dialects import sse
from stoker_litestar.dialects.openai.chunk_frame import ChunkFrame, stream_end
from stoker_litestar.dialects.openai.error import error_object
from stoker_litestar.dialects.openai.fingerprint import SYSTEM_FINGERPRINT
from stoker_litestar.dialects.openai.finish import FINISH_REASONS
from stoker_litestar.dialects.openai.wire.chat_logprobs import ChatLogprobs
from stoker_litestar.dialects.openai.wire.chat_response import (
    ChatChunk,
    ChatCompletion,
    ChoiceObject,
    ChunkChoice,
    Delta,
    FunctionObject,
    FunctionPiece,
    MessageObject,
    ToolCallObject,
    ToolCallPiece,
)
from stoker_litestar.dialects.openai.wire.encoder import encode
from stoker_litestar.dialects.openai.wire.usage import TimingsObject, UsageObject


@attrs.define
class _ToolCall:
    """A tool call that is being put together."""

    id: str = ""
    name: str = ""
    arguments: list[str] = attrs.field(factory=list)


@attrs.define
class _Choice:
    """A choice that is being put together."""

    text: list[str] = attrs.field(factory=list)
    reasoning: list[str] = attrs.field(factory=list)
    tool_calls: dict[int, _ToolCall] = attrs.field(factory=dict)
    logprobs: list[TokenLogprob] = attrs.field(factory=list)
    finish_reason: FinishReason = FinishReason.STOP

    def message(self) -> MessageObject:
        """What was put together."""
        text = "".join(self.text)
        calls = [
            ToolCallObject(call.id, FunctionObject(call.name, "".join(call.arguments)))
            for _, call in sorted(self.tool_calls.items())
        ]
        return MessageObject(
            content=None if calls and not text else text,
            reasoning_content="".join(self.reasoning) if self.reasoning else UNSET,
            tool_calls=calls or UNSET,
        )


class ChatEncoder(ResponseEncoder):
    """Makes one JSON object of all events."""

    content_type = "application/json"

    def __init__(self, context: ResponseContext, *, model: str, n: int) -> None:
        self._context = context
        self._model = model
        self._choices = [_Choice() for _ in range(n)]

    def feed(self, event: Event) -> bytes:
        """Collect; the last event brings everything."""
        match event:
            case TextDelta():
                choice = self._choices[event.index]
                choice.text.append(event.text)
                choice.logprobs.extend(event.logprobs)
            case ReasoningDelta():
                self._choices[event.index].reasoning.append(event.text)
            case ToolCallDelta():
                self._take_tool_call(event)
            case ChoiceFinished():
                self._choices[event.index].finish_reason = event.reason
            case Finished():
                return self._whole(event)
            case Failed():
                return error_object(event.error)
            case _:
                pass
        return b""

    def _take_tool_call(self, event: ToolCallDelta) -> None:
        call = self._choices[event.index].tool_calls.setdefault(event.call_index, _ToolCall())
        call.id = event.id or call.id
        call.name = event.name or call.name
        call.arguments.append(event.arguments)

    def _whole(self, event: Finished) -> bytes:
        return encode(
            ChatCompletion(
                id=f"chatcmpl-{self._context.id}",
                created=self._context.created_s,
                model=self._model,
                system_fingerprint=SYSTEM_FINGERPRINT,
                choices=[
                    ChoiceObject(
                        index=index,
                        message=choice.message(),
                        logprobs=(
                            ChatLogprobs.from_domain(choice.logprobs) if choice.logprobs else None
                        ),
                        finish_reason=FINISH_REASONS[choice.finish_reason],
                    )
                    for index, choice in enumerate(self._choices)
                ],
                usage=UsageObject.from_domain(event.usage),
                timings=TimingsObject.from_domain(event.usage, event.timings),
            )
        )


class ChatStreamEncoder(ResponseEncoder):
    """Makes server-sent events: one chunk for every event that has something to say."""

    content_type = sse.CONTENT_TYPE

    def __init__(
        self, context: ResponseContext, *, model: str, n: int, include_usage: bool
    ) -> None:
        self._empty = ChatChunk(
            id=f"chatcmpl-{context.id}",
            created=context.created_s,
            model=model,
            system_fingerprint=SYSTEM_FINGERPRINT,
            choices=[],
            usage=None if include_usage else UNSET,
        )
        self._frame = ChunkFrame.around(self._empty)
        self._n = n
        self._include_usage = include_usage
        self._opened = False

    def feed(self, event: Event) -> bytes:
        """Encode the event's chunk; the first one is preceded by the roles."""
        match event:
            case TextDelta():
                data = self._text(event)
            case ReasoningDelta():
                data = self._chunk(event.index, Delta(reasoning_content=event.text))
            case ToolCallDelta():
                data = self._chunk(event.index, Delta(tool_calls=[_tool_call_piece(event)]))
            case ChoiceFinished():
                data = self._frame.event(
                    ChunkChoice(
                        index=event.index,
                        delta=Delta(),
                        finish_reason=FINISH_REASONS[event.reason],
                    )
                )
            case Prefill():
                data = b""
            case Finished():
                data = self._end(event)
            case Failed():
                # No [DONE]: the stream did not come to its end.
                return sse.event(error_object(event.error))
            case Queued() | Loading():
                return sse.waiting(event)
            case _:
                return b""
        return data if self._opened else self._open() + data

    def _open(self) -> bytes:
        self._opened = True
        delta = Delta(role="assistant", content="", refusal=None)
        return b"".join(self._chunk(index, delta) for index in range(self._n))

    def _chunk(self, index: int, delta: Delta) -> bytes:
        return self._frame.event(ChunkChoice(index=index, delta=delta))

    def _text(self, event: TextDelta) -> bytes:
        delta = Delta(content=event.text)
        if not event.logprobs:
            return self._chunk(event.index, delta)
        logprobs = ChatLogprobs.from_domain(event.logprobs)
        return self._frame.event(ChunkChoice(index=event.index, delta=delta, logprobs=logprobs))

    def _end(self, event: Finished) -> bytes:
        return stream_end(self._empty, event, include_usage=self._include_usage)


def _tool_call_piece(event: ToolCallDelta) -> ToolCallPiece:
    return ToolCallPiece(
        index=event.call_index,
        id=UNSET if event.id is None else event.id,
        type=UNSET if event.id is None else "function",
        function=FunctionPiece(event.arguments, UNSET if event.name is None else event.name),
    )
