"""Which sequences run, by the room that there is for their tokens."""

from __future__ import annotations

import bisect
from collections.abc import Callable, Iterable
from collections.abc import Sequence as SequenceOf

from stoker_mlx.sequence import Sequence

HEADROOM_TOKENS = 64
"""Room for so many more tokens must be there before a sequence is let in."""


class Scheduler:
    """Lets sequences in, and says who has to go when there is no room.

    How long an answer becomes is not known before, so room is not set aside for the longest.
    Sequences are let in, in their order, as long as what they have now and some headroom fit. When
    that is not enough, the last one goes back to its place in the queue and is read again later.
    The first one never has to, and alone it always fits, so it ends: nothing waits for ever.
    """

    def __init__(self, *, max_sequences: int, cache_tokens: int, joint: bool) -> None:
        """Make an empty scheduler.

        Args:
            max_sequences: Most sequences that run side by side.
            cache_tokens: Most tokens in memory.
            joint: Whether all sequences take as much room as the longest.
        """
        self._max_sequences = max_sequences
        self._cache_tokens = cache_tokens
        self._joint = joint
        self._waiting: list[Sequence] = []

    def add(self, sequence: Sequence) -> None:
        """Put a sequence into the queue, at the place that its rank gives it."""
        bisect.insort(self._waiting, sequence, key=_rank)

    def remove(self, sequence: Sequence) -> bool:
        """Take a sequence out of the queue; tells whether it was there."""
        if sequence not in self._waiting:
            return False
        self._waiting.remove(sequence)
        return True

    def excess(self, running: SequenceOf[Sequence]) -> Sequence | None:
        """The sequence that has to go back, if there is no room for all that run."""
        if len(running) <= 1 or self._room(map(_length, running)) <= self._cache_tokens:
            return None
        return max(running, key=_rank)

    def let_in(
        self, running: SequenceOf[Sequence], awaited: Callable[[Sequence], Sequence | None]
    ) -> Sequence | None:
        """Take the next sequence out of the queue that can start now.

        Args:
            running: Those that run.
            awaited: Tells whether one of these reads what a sequence should wait for; it lets
                those behind it pass meanwhile.
        """
        if len(running) >= self._max_sequences:
            return None
        for sequence in self._waiting:
            sequence.awaited = awaited(sequence)
            if sequence.awaited is not None:
                continue
            claims = [*map(_claim, running), _claim(sequence)]
            # Nobody overtakes: a long sequence would wait for ever behind many short ones.
            if running and self._room(claims) > self._cache_tokens:
                return None
            self._waiting.remove(sequence)
            return sequence
        return None

    def _room(self, lengths: Iterable[int]) -> int:
        """What sequences of some lengths take."""
        sizes = list(lengths)
        return len(sizes) * max(sizes) if self._joint else sum(sizes)


def _length(sequence: Sequence) -> int:
    return len(sequence.tokens)


def _claim(sequence: Sequence) -> int:
    return min(len(sequence.tokens) + HEADROOM_TOKENS, sequence.final_length)


def _rank(sequence: Sequence) -> tuple[int, int]:
    return sequence.rank
