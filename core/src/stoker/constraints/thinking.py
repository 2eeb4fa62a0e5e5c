"""Thinking under control: it may have a budget, and a constraint waits until it is over."""

from __future__ import annotations

import enum
from collections.abc import Callable

import attrs

from stoker.engine import TokenConstraint


@attrs.frozen
class ThinkingTokens:
    """What the marks around a model's reasoning are as tokens."""

    start: tuple[int, ...]
    """Begin the reasoning."""
    start_text: bytes
    closed_by: bytes
    """The text that ends it."""
    closing: tuple[int, ...]
    """End it, in the model's place."""
    between: tuple[int, ...]
    """Stand between its end and an answer whose form is prescribed."""
    vocabulary_size: int
    bytes_of: Callable[[int], bytes]
    """The text of a token, control tokens of the syntax included."""


class _State(enum.Enum):
    BEFORE = "before"
    """The model may think, or not."""
    THINKING = "thinking"
    AFTER = "after"


class ThinkingConstraint(TokenConstraint):
    """Lets the model think, for so long; then another constraint begins, if there is one.

    Before a prescribed answer the end tokens are not allowed while the model thinks: it would end
    without its answer. What is not prescribed may end at any time.
    """

    def __init__(
        self,
        tokens: ThinkingTokens,
        *,
        begun: bool,
        budget: int | None,
        inner: TokenConstraint | None,
        lead: tuple[int, ...] = (),
        end_tokens: frozenset[int] = frozenset(),
    ) -> None:
        """Begin.

        Args:
            tokens: The marks.
            begun: Whether the prompt has begun the reasoning.
            budget: Most tokens that are reasoning; None sets no bound.
            inner: What holds after it.
            lead: Tokens before a prescribed answer.
            end_tokens: The model's end-of-generation tokens; only needed with `inner`.
        """
        self._tokens = tokens
        self._budget = budget
        self._inner = inner
        self._lead = lead if inner is not None else ()
        self._end_tokens = end_tokens
        self._spent = 0
        self._tail = b""
        # What comes next whatever the model wants, and the state after that.
        self._queue: tuple[int, ...] = ()
        self._state = _State.THINKING if begun else _State.BEFORE
        self._forbidden: dict[bytes, frozenset[int]] = {}
        if begun:
            self._check_budget()
        elif inner is not None and self._is_ambiguous(inner):
            # The reasoning begins as the answer does, so it cannot be left to the model.
            self._begin(tokens.start)

    def mask(self) -> bytes:
        """See `TokenConstraint.mask`."""
        if self._queue:
            return self._only(self._queue[0])
        if self._state is _State.AFTER:
            return self._all() if self._inner is None else self._inner.mask()
        if self._inner is None:
            return self._all()
        if self._state is _State.BEFORE:
            before = self._only(self._lead[0]) if self._lead else self._inner.mask()
            mask = bytearray(before)
            for token in self._tokens.start[:1]:
                mask[token >> 3] |= 1 << (token & 7)
            return bytes(mask)
        mask = bytearray(self._all())
        for token in (*self._end_tokens, *self._overrunning()):
            mask[token >> 3] &= ~(1 << (token & 7)) & 0xFF
        return bytes(mask)

    def allows(self, token: int) -> bool:
        """See `TokenConstraint.allows`."""
        if self._queue:
            return token == self._queue[0]
        if self._inner is None:
            return True
        if self._state is _State.AFTER:
            return self._inner.allows(token)
        if self._state is _State.BEFORE:
            if self._tokens.start[:1] == (token,):
                return True
            return token == self._lead[0] if self._lead else self._inner.allows(token)
        return token not in self._end_tokens and token not in self._overrunning()

    def forced(self) -> tuple[int, ...]:
        """See `TokenConstraint.forced`."""
        if self._queue:
            return self._queue
        if self._state is _State.AFTER and self._inner is not None:
            return self._inner.forced()
        return ()

    def accept(self, token: int) -> bool:
        """See `TokenConstraint.accept`."""
        if self._queue:
            self._queue = self._queue[1:]
            if self._state is _State.THINKING:
                self._spent += 1
                if not self._queue:
                    self._check_budget()
            return False
        match self._state:
            case _State.AFTER:
                return self._inner is not None and self._inner.accept(token)
            case _State.BEFORE:
                return self._accept_before(token)
            case _State.THINKING:
                self._spent += 1
                self._think(token)
                return False

    def _accept_before(self, token: int) -> bool:
        if self._inner is not None:
            if self._tokens.start[:1] == (token,):
                self._begin(self._tokens.start[1:])
                return False
            self._state = _State.AFTER
            if self._lead:
                self._queue = self._lead[1:]
                return False
            return self._inner.accept(token)
        self._tail += self._tokens.bytes_of(token)
        text, start = self._tail.lstrip(), self._tokens.start_text
        if text.startswith(start):
            self._begin(())
        elif not start.startswith(text):
            self._state = _State.AFTER
        return False

    def _is_ambiguous(self, inner: TokenConstraint) -> bool:
        first = self._tokens.start[:1]
        if not first:
            return False
        return self._lead[:1] == first if self._lead else inner.allows(first[0])

    def _begin(self, rest: tuple[int, ...]) -> None:
        self._state = _State.THINKING
        self._tail = b""
        self._spent = 1
        self._queue = rest
        if not rest:
            self._check_budget()

    def _think(self, token: int) -> None:
        closed_by = self._tokens.closed_by
        self._tail += self._tokens.bytes_of(token)
        if closed_by in self._tail:
            self._state = _State.AFTER
            self._queue = (*self._tokens.between, *self._lead) if self._inner else ()
            return
        self._tail = self._tail[-(len(closed_by) - 1) :] if len(closed_by) > 1 else b""
        self._check_budget()

    def _check_budget(self) -> None:
        if self._budget is not None and self._spent >= self._budget:
            self._state = _State.AFTER
            self._queue = (*self._tokens.closing, *self._tokens.between, *self._lead)

    def _overrunning(self) -> frozenset[int]:
        """Tokens that end the reasoning and go on into an answer that could not be checked."""
        closed_by = self._tokens.closed_by
        length = next(
            (
                length
                for length in range(min(len(closed_by) - 1, len(self._tail)), 0, -1)
                if self._tail.endswith(closed_by[:length])
            ),
            0,
        )
        rest = closed_by[length:]
        found = self._forbidden.get(rest)
        if found is None:
            bytes_of = self._tokens.bytes_of
            found = self._forbidden[rest] = frozenset(
                token
                for token in range(self._tokens.vocabulary_size)
                if len(data := bytes_of(token)) > len(rest)
                and rest in data
                and data.partition(rest)[2].strip()
                and (length == 0 or data.startswith(rest))
            )
        return found

    def _all(self) -> bytes:
        return b"\xff" * self._mask_bytes

    def _only(self, token: int) -> bytes:
        mask = bytearray(self._mask_bytes)
        mask[token >> 3] = 1 << (token & 7)
        return bytes(mask)

    @property
    def _mask_bytes(self) -> int:
        """Whole words of 32 bits."""
        return -(-self._tokens.vocabulary_size // 32) * 4
