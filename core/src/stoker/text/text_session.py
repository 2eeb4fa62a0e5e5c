"""The session over an engine that has only text in and text out."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator

import attrs

from stoker.engine import EngineInfo, Mode, Piece, TextEngine
from stoker.errors import InvalidRequestError, StokerError, UnsupportedFeatureError
from stoker.events import (
    ChoiceFinished,
    Event,
    Failed,
    Finished,
    FinishReason,
    Prefill,
    ReasoningDelta,
    TextDelta,
    Timings,
    ToolCallDelta,
    Usage,
)
from stoker.messages import ToolChoiceMode
from stoker.request import ChatPrompt, GenerateRequest, Request, TextPrompt, TokenRequest
from stoker.text.admission import check_features, check_mode
from stoker.text.session import Session
from stoker.text.stop import StopMatcher

_LOGGER = logging.getLogger(__name__)


class _TextChoice:
    """One iterator of the engine."""

    __slots__ = ("called", "completion_tokens", "index", "matcher", "pieces")

    def __init__(self, index: int, pieces: Iterator[Piece], matcher: StopMatcher | None) -> None:
        self.called = False
        self.index = index
        self.pieces = pieces
        self.matcher = matcher
        self.completion_tokens = 0

    def close(self) -> None:
        """End the iterator; generators free what they hold."""
        close = getattr(self.pieces, "close", None)
        if close is None:
            return
        try:
            close()
        except Exception:
            # Nobody waits for this answer any more, and the other requests must go on.
            _LOGGER.warning("An engine's iterator failed while it was closed.", exc_info=True)


class _TextRequest:
    """A request that is being answered."""

    __slots__ = (
        "completion_tokens",
        "first_piece_s",
        "id",
        "max_tokens",
        "prefilled",
        "reasoning_tokens",
        "running",
        "submitted_s",
    )

    def __init__(self, request_id: int, max_tokens: int | None) -> None:
        self.id = request_id
        self.max_tokens = max_tokens
        self.submitted_s = time.perf_counter()
        self.first_piece_s: float | None = None
        self.completion_tokens = 0
        self.reasoning_tokens = 0
        self.prefilled = False
        self.running: list[_TextChoice] = []


class TextSession(Session):
    """Answers requests with a `TextEngine`.

    A step takes one piece of every running choice. A piece counts as one token; nobody knows how
    many tokens the prompt has, so usage and prefill say 0. An exception of an iterator fails its
    request only.
    """

    def __init__(self, engine: TextEngine) -> None:
        self._engine = engine
        self._requests: dict[int, _TextRequest] = {}

    @property
    def info(self) -> EngineInfo:
        """What the engine has loaded."""
        return self._engine.info

    @property
    def idle(self) -> bool:
        """Whether a `step` would do nothing."""
        return not self._requests

    def submit(self, request_id: int, request: Request) -> None:
        """Take a request; see `Session.submit`."""
        if request_id in self._requests:
            raise InvalidRequestError(f"The request id {request_id} is in use.")
        if isinstance(request, TokenRequest):
            raise UnsupportedFeatureError(
                f"The engine of {request.model} tells no tokens and has no chat template.",
                param="model",
            )
        if not isinstance(request, GenerateRequest):
            # Whatever the engine says of itself: its contract has no more than text.
            check_mode(request, {Mode.GENERATE})
            return
        self._check(request)
        active = _TextRequest(request_id, request.max_tokens)
        for index in range(request.n):
            try:
                pieces = self._engine.generate(request, index=index)
            except Exception as exc:
                _close(active)
                raise _domain_error(exc) from exc
            matcher = StopMatcher(request.stop) if request.stop else None
            active.running.append(_TextChoice(index, pieces, matcher))
        self._requests[request_id] = active

    def _check(self, request: GenerateRequest) -> None:
        """Refuse what an engine of text cannot do."""
        check_features(request, self._engine.info.modalities)
        if isinstance(request.prompt, ChatPrompt):
            self._check_chat(request.prompt)
        if request.constraint is not None:
            raise UnsupportedFeatureError(
                "This model's engine cannot constrain its answers.", param=request.constraint.param
            )
        if isinstance(request.prompt, TextPrompt) and request.prompt.suffix:
            raise UnsupportedFeatureError(
                "This model's engine cannot fill a text in: leave suffix out.", param="suffix"
            )
        if request.more_prompts:
            raise UnsupportedFeatureError(
                "This model's engine takes one prompt in a request.", param="prompt"
            )
        if request.echo:
            raise UnsupportedFeatureError(
                "This model's engine does not echo the prompt.", param="echo"
            )
        if request.sampling.logprobs is not None:
            raise UnsupportedFeatureError(
                "This model's engine gives no log probabilities.", param="logprobs"
            )

    def _check_chat(self, prompt: ChatPrompt) -> None:
        if prompt.continue_final_message:
            raise UnsupportedFeatureError(
                "This model's engine cannot go on with an answer that is begun: end with a message"
                " of the user.",
                param="messages",
            )
        wants = prompt.tools and prompt.tool_choice.mode is not ToolChoiceMode.NONE
        if wants and not self._engine.calls_tools:
            raise UnsupportedFeatureError(
                "This model's engine calls no tools: leave them out, or choose none.", param="tools"
            )

    def cancel(self, request_id: int) -> None:
        """Forget a request; an unknown id is a no-op."""
        active = self._requests.pop(request_id, None)
        if active is not None:
            _close(active)

    def step(self) -> list[tuple[int, Event]]:
        """Advance every request; see `Session.step`."""
        events: list[tuple[int, Event]] = []
        for active in list(self._requests.values()):
            try:
                self._advance(active, events)
            except Exception as exc:  # noqa: BLE001 - one engine call failed, not the engine
                del self._requests[active.id]
                _close(active)
                events.append((active.id, Failed(_domain_error(exc))))
                continue
            if not active.running:
                del self._requests[active.id]
                events.append((active.id, _finished(active)))
        return events

    def close(self) -> None:
        """Drop all requests and close the engine."""
        for active in self._requests.values():
            _close(active)
        self._requests.clear()
        self._engine.close()

    @staticmethod
    def _advance(active: _TextRequest, events: list[tuple[int, Event]]) -> None:
        """Take one piece of every choice."""
        for choice in list(active.running):
            piece = next(choice.pieces, None)
            if not active.prefilled:
                # Only now is it known that the engine does not refuse the request.
                active.prefilled = True
                events.append((active.id, Prefill(0, 0)))
            if isinstance(piece, ReasoningDelta | ToolCallDelta):
                events.append((active.id, attrs.evolve(piece, index=choice.index)))
                active.reasoning_tokens += isinstance(piece, ReasoningDelta)
                choice.called |= isinstance(piece, ToolCallDelta)
            text, stop, reason = _taken(choice, piece, active.max_tokens)
            if piece is not None:
                active.completion_tokens += 1
                if active.first_piece_s is None:
                    active.first_piece_s = time.perf_counter()
            if text:
                events.append((active.id, TextDelta(text, choice.index)))
            if reason is not None:
                active.running.remove(choice)
                choice.close()
                events.append((active.id, ChoiceFinished(reason, choice.index, stop)))


def _taken(
    choice: _TextChoice, piece: Piece | None, max_tokens: int | None
) -> tuple[str, str | None, FinishReason | None]:
    """Take a piece, None after the last; return the text to show, the stop string, the end."""
    text, stop, reason = piece if isinstance(piece, str) else "", None, None
    if piece is None:
        reason = FinishReason.TOOL_CALLS if choice.called else FinishReason.STOP
    else:
        choice.completion_tokens += 1
        if choice.completion_tokens == max_tokens:
            reason = FinishReason.LENGTH
    if choice.matcher is not None:
        text, stop = choice.matcher.feed(text)
        if stop is None and reason is not None:
            rest, stop = choice.matcher.finish()
            text += rest
    return text, stop, reason if stop is None else FinishReason.STOP


def _finished(active: _TextRequest) -> Finished:
    now_s = time.perf_counter()
    first_piece_s = now_s if active.first_piece_s is None else active.first_piece_s
    return Finished(
        Usage(
            prompt_tokens=0,
            completion_tokens=active.completion_tokens,
            reasoning_tokens=active.reasoning_tokens,
        ),
        Timings(prefill_s=first_piece_s - active.submitted_s, decode_s=now_s - first_piece_s),
    )


def _close(active: _TextRequest) -> None:
    for choice in active.running:
        choice.close()


def _domain_error(exc: Exception) -> StokerError:
    if isinstance(exc, StokerError):
        return exc
    return StokerError(f"The engine failed: {type(exc).__name__}: {exc}.")
