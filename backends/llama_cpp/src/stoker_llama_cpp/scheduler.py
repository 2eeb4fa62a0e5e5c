"""Which sequences run, and what each computes in the next step."""

from __future__ import annotations

import bisect
import heapq
from collections.abc import Callable

import attrs

from stoker_llama_cpp.sequence import NO_SLOT, Sequence

HEADROOM_TOKENS = 64
"""Free cells that a sequence must find for its answer before it is let in."""


@attrs.frozen
class Chunk:
    """A sequence's part of a step: its next tokens that are not in memory."""

    sequence: Sequence
    count: int

    @property
    def completes(self) -> bool:
        """Whether nothing of the sequence is left to compute, so that a token can be sampled."""
        return self.count == self.sequence.pending


class Scheduler:
    """Lets sequences in and shares a step's tokens among them.

    The KV cache is shared by all. How long an answer becomes is not known before, and a limit of
    the whole context for each is common, so room is not set aside for the worst case. Sequences
    are let in, in their order, as long as what they have now and some headroom fit; when the cache
    is full all the same, the last one gives its cells back, waits at its place in the queue, and
    is computed again later. The first one never has to, and alone it always fits, so it ends:
    nothing can wait for each other.
    """

    def __init__(
        self, *, cells: int, max_sequences: int, batch_size: int, forget: Callable[[int], None]
    ) -> None:
        """Make an empty scheduler.

        Args:
            cells: How many tokens the KV cache holds.
            max_sequences: Most sequences that run side by side.
            batch_size: Most tokens in a step; not less than `max_sequences`.
            forget: Empties the KV cache of one slot.
        """
        self._cells = cells
        self._batch_size = batch_size
        self._forget = forget
        self._free_slots = list(range(max_sequences))
        self._waiting: list[Sequence] = []
        self._running: list[Sequence] = []

    @property
    def idle(self) -> bool:
        """Whether there is no sequence."""
        return not self._waiting and not self._running

    @property
    def sequences(self) -> list[Sequence]:
        """All sequences, the running ones first."""
        return [*self._running, *self._waiting]

    def add(self, sequence: Sequence) -> None:
        """Put a sequence into the queue, at the place that its rank gives it."""
        bisect.insort(self._waiting, sequence, key=_rank)

    def remove(self, sequence: Sequence) -> None:
        """Take a sequence out, wherever it is, and empty its part of the KV cache."""
        if sequence.slot == NO_SLOT:
            self._waiting.remove(sequence)
        else:
            self._stop(sequence)

    def plan(self, prompt_tokens: Callable[[], int]) -> list[Chunk]:
        """Decide on the next step.

        Sequences that answer get their one token first. What is left of the batch goes to those
        that read their prompts, in equal shares, so that a short prompt is not held up by a
        long one.

        Args:
            prompt_tokens: Tells how many tokens of prompts a step may have beside answers. Without
                answers the whole batch is used: a measured number would split the same prompt in
                another way each time, and then the same seed would not give the same answer.
        """
        self._make_room()
        self._let_in()
        plan = [Chunk(sequence, 1) for sequence in self._running if sequence.pending == 1]
        reading = [sequence for sequence in self._running if sequence.pending > 1]
        if reading:
            # The shortest takes first, and leaves what it does not need to the others.
            reading.sort(key=_pending)
            budget = self._batch_size - len(plan)
            if plan:
                budget = min(budget, prompt_tokens())
            for left, sequence in zip(range(len(reading), 0, -1), reading, strict=True):
                count = min(sequence.pending, -(-budget // left))
                if count:
                    plan.append(Chunk(sequence, count))
                    budget -= count
        return plan

    def _make_room(self) -> None:
        while sum(len(sequence.tokens) for sequence in self._running) > self._cells:
            last = max(self._running, key=_rank)
            self._stop(last)
            self.add(last)

    def _let_in(self) -> None:
        taken = sum(map(_claim, self._running))
        while self._waiting and self._free_slots:
            sequence = self._waiting[0]
            taken += _claim(sequence)
            # Nobody overtakes: a long sequence would wait for ever behind many short ones.
            if self._running and taken > self._cells:
                return
            del self._waiting[0]
            sequence.slot = heapq.heappop(self._free_slots)
            self._running.append(sequence)

    def _stop(self, sequence: Sequence) -> None:
        self._running.remove(sequence)
        self._forget(sequence.slot)
        heapq.heappush(self._free_slots, sequence.slot)
        sequence.slot, sequence.in_memory = NO_SLOT, 0


def _claim(sequence: Sequence) -> int:
    """The cells that a sequence needs for now."""
    return min(len(sequence.tokens) + HEADROOM_TOKENS, sequence.final_length)


def _rank(sequence: Sequence) -> tuple[int, int]:
    return sequence.rank


def _pending(sequence: Sequence) -> int:
    return sequence.pending
