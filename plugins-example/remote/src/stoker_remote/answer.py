"""Reading an answer: from the events of the server's stream to pieces."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from stoker.engine import AnswerEnd, Piece
from stoker.errors import InvalidRequestError, UnavailableError
from stoker.events import FinishReason, ReasoningDelta, ToolCallDelta
from stoker.parser import new_call_id
from stoker_remote.wire import CallDelta, Choice, Chunk, RemoteUsage, error_text

END = b"[DONE]"
FILTERED = "content_filter"

_CHUNKS = msgspec.json.Decoder(Chunk)
_REASONS = {
    "length": FinishReason.LENGTH,
    "tool_calls": FinishReason.TOOL_CALLS,
    "function_call": FinishReason.TOOL_CALLS,
}
"""All others are ends that the model came to by itself."""


class AnswerReader:
    """Takes the events of one stream.

    Attributes:
        complete: Whether the server has said that this was all.
    """

    def __init__(self, url: str) -> None:
        self.complete = False
        self._url = url
        self._reason: FinishReason | None = None
        self._usage: RemoteUsage | None = None
        self._calls: dict[int, int] = {}
        """Our numbers of calls, by the server's."""

    def feed(self, data: bytes) -> Iterator[Piece]:
        """The pieces in an event.

        Raises:
            UnavailableError: It is an error, or nothing of this API.
            InvalidRequestError: The server's filter has ended the answer.
        """
        if data == END:
            self.complete = True
            return
        try:
            chunk = _CHUNKS.decode(data)
        except msgspec.DecodeError as exc:
            raise UnavailableError(f"The answer of {self._url} cannot be read: {exc}.") from exc
        if chunk.error is not None:
            raise UnavailableError(f"{self._url} failed: {error_text(chunk.error)}")
        self._usage = chunk.usage or self._usage
        for choice in chunk.choices:
            yield from self._pieces(choice)

    def end(self) -> AnswerEnd:
        """What is known when the stream is over.

        Raises:
            UnavailableError: The server hung up in the middle of its answer.
        """
        if self._reason is None and not self.complete:
            raise UnavailableError(f"{self._url} hung up before the end of its answer: try again.")
        reason = self._reason or FinishReason.STOP
        usage = self._usage
        if usage is None:
            return AnswerEnd(reason)
        prompt, completion = usage.prompt_tokens_details, usage.completion_tokens_details
        return AnswerEnd(
            reason,
            prompt_tokens=usage.prompt_tokens,
            completion_tokens=usage.completion_tokens,
            cached_tokens=(prompt.cached_tokens if prompt else None) or 0,
            reasoning_tokens=completion.reasoning_tokens if completion else None,
        )

    def _pieces(self, choice: Choice) -> Iterator[Piece]:
        delta = choice.delta
        if thought := delta.reasoning_content or delta.reasoning:
            yield ReasoningDelta(thought)
        if text := delta.content or choice.text:
            yield text
        for call in delta.tool_calls or ():
            yield self._call(call)
        if choice.finish_reason == FILTERED:
            raise InvalidRequestError(f"A filter of {self._url} has ended the answer.")
        if choice.finish_reason is not None:
            self._reason = _REASONS.get(choice.finish_reason, FinishReason.STOP)

    def _call(self, call: CallDelta) -> ToolCallDelta:
        """A call's delta; its id and its name come first and once, whatever the server repeats."""
        arguments = call.function.arguments or ""
        number = self._calls.get(call.index)
        if number is not None:
            return ToolCallDelta(number, arguments=arguments)
        if not call.function.name:
            raise UnavailableError(f"{self._url} calls a tool without its name.")
        number = self._calls[call.index] = len(self._calls)
        return ToolCallDelta(
            number, id=call.id or new_call_id(), name=call.function.name, arguments=arguments
        )
