"""One choice of an engine that has only text: its pieces, counted and cut where they must end."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import attrs

from stoker.engine import AnswerEnd, Piece, PieceStream
from stoker.events import (
    ChoiceFinished,
    Event,
    FinishReason,
    ReasoningDelta,
    TextDelta,
    ToolCallDelta,
)
from stoker.text.stop import StopMatcher

_LOGGER = logging.getLogger(__name__)


class TextChoice:
    """One iterator of the engine.

    Attributes:
        index: Which of the request's choices it is.
        end: What is known at its end; counts are None before, and where nobody has counted.
    """

    def __init__(
        self,
        index: int,
        pieces: Iterator[Piece],
        *,
        max_tokens: int | None,
        engine_counts: bool,
        matcher: StopMatcher | None,
    ) -> None:
        self.index = index
        self.end = AnswerEnd()
        self._pieces = pieces
        self._max_tokens = max_tokens
        self._engine_counts = engine_counts
        self._matcher = matcher
        self._called = False
        self._taken = 0
        self._reasoning = 0

    @property
    def ready(self) -> bool:
        """Whether there is a piece to take; what makes its pieces itself always has one."""
        return not isinstance(self._pieces, PieceStream) or self._pieces.ready()

    @property
    def completion_tokens(self) -> int:
        """As counted by the engine, or else the pieces."""
        counted = self.end.completion_tokens
        return self._taken if counted is None else counted

    @property
    def reasoning_tokens(self) -> int:
        """As counted by the engine, or else the pieces."""
        counted = self.end.reasoning_tokens
        return self._reasoning if counted is None else counted

    def advance(self) -> tuple[list[Event], bool]:
        """Take a piece; return its events, and whether the choice is finished.

        Raises:
            Exception: What the engine's iterator raised.
        """
        piece = next(self._pieces, AnswerEnd())
        if isinstance(piece, AnswerEnd):
            self.end = piece
            reason = FinishReason.TOOL_CALLS if self._called else piece.reason
            return self._finished("", reason)
        if self._taken == self._max_tokens:
            # It counts, and should have ended its answer: a piece has one token or more.
            return self._finished("", FinishReason.LENGTH)
        self._taken += 1
        reached = self._taken == self._max_tokens and not self._engine_counts
        if isinstance(piece, str):
            if reached:
                return self._finished(piece, FinishReason.LENGTH)
            return self._said(piece)
        self._reasoning += isinstance(piece, ReasoningDelta)
        self._called |= isinstance(piece, ToolCallDelta)
        events: list[Event] = [attrs.evolve(piece, index=self.index)]
        if reached:
            more, _ = self._finished("", FinishReason.LENGTH)
            return events + more, True
        return events, False

    def close(self) -> None:
        """End the iterator; generators free what they hold."""
        close = getattr(self._pieces, "close", None)
        if close is None:
            return
        try:
            close()
        except Exception:
            # Nobody waits for this answer any more, and the other requests must go on.
            _LOGGER.warning("An engine's iterator failed while it was closed.", exc_info=True)

    def _said(self, text: str) -> tuple[list[Event], bool]:
        stop = None
        if self._matcher is not None:
            text, stop = self._matcher.feed(text)
        events = self._delta(text)
        if stop is None:
            return events, False
        return [*events, ChoiceFinished(FinishReason.STOP, self.index, stop)], True

    def _finished(self, text: str, reason: FinishReason) -> tuple[list[Event], bool]:
        stop = None
        if self._matcher is not None:
            text, stop = self._matcher.feed(text)
            if stop is None:
                rest, stop = self._matcher.finish()
                text += rest
        if stop is not None:
            reason = FinishReason.STOP
        return [*self._delta(text), ChoiceFinished(reason, self.index, stop)], True

    def _delta(self, text: str) -> list[Event]:
        return [TextDelta(text, self.index)] if text else []
