"""Which sequences run, and what each computes in the next step."""

from __future__ import annotations

import bisect
from array import array
from collections.abc import Callable
from typing import Protocol

import attrs

from stoker.prefix_tree import common_length
from stoker_llama_cpp.kv_cache import NO_PREFIX, KVCache, Prefix
from stoker_llama_cpp.sequence import NO_SLOT, Sequence

HEADROOM_TOKENS = 64
"""Free cells that a sequence must find for its answer before it is let in."""
WORTH_WAITING_TOKENS = 16
"""How much must be saved for a sequence to wait until another has read their common prefix."""
READS_BETWEEN_OLDEST = 4
"""In one of so many steps the oldest prompt goes first, or short ones could hold it up for ever."""


@attrs.frozen
class Chunk:
    """A sequence's part of a step: its next tokens that are not in memory."""

    sequence: Sequence
    count: int
    draft: array[int] = attrs.field(factory=lambda: array("i"))
    """Guesses of what comes behind the sequence's last token; computed in the same step."""

    @property
    def size(self) -> int:
        """How many tokens are computed."""
        return self.count + len(self.draft)

    @property
    def rows(self) -> int:
        """How many rows of logits it has, those of the draft aside."""
        return self.count if self.sequence.scores else int(self.completes)

    @property
    def completes(self) -> bool:
        """Whether nothing of the sequence is left to compute, so that a token can be sampled."""
        return self.count == self.sequence.pending


class ReadingPace(Protocol):
    """Tells how many tokens of prompts a step may have; see `stoker_llama_cpp.pace`."""

    def beside(self, answers: int, *, crowded: bool) -> int:
        """How many beside tokens of answers, and whether fewer answer than wait to begin."""

    def alone(self) -> int:
        """How many when nobody waits for an answer."""

    @property
    def apart(self) -> bool:
        """Whether a crowd's prompts are read in steps of their own."""


class Scheduler:
    """Lets sequences in and shares a step's tokens among them.

    The KV cache is shared by all. How long an answer becomes is not known before, and a limit of
    the whole context for each is common, so room is not set aside for the worst case. Sequences
    are let in, in their order, as long as what they have now and some headroom fit; when the cache
    is full all the same, the last one gives its cells back, waits at its place in the queue, and
    is computed again later, but for what is still in the cache then. The first one never has to,
    and alone it always fits, so it ends: nothing can wait for each other. What ended sequences
    left in the cache is no obstacle to anyone; it is evicted when a step needs the cells.

    Prompts are read one after the other, the shortest first: two that were read side by side would
    both be ready when the second one is, and attention over several is dearer than over one.

    A sequence starts from the longest prefix that is in the cache. While a running one reads a
    longer common prefix, the others wait for it and let those behind them pass.
    """

    def __init__(
        self, cache: KVCache, *, max_sequences: int, batch_size: int, rows: int | None = None
    ) -> None:
        """Make an empty scheduler.

        Args:
            cache: The KV cache; has a slot for every sequence that may run.
            max_sequences: Most sequences that run side by side.
            batch_size: Most tokens in a step; not less than `max_sequences`.
            rows: Most tokens of a step for which there are logits; unset is `max_sequences`.
        """
        self._cache = cache
        self._max_sequences = max_sequences
        self._batch_size = batch_size
        self._rows = max_sequences if rows is None else rows
        self._waiting: list[Sequence] = []
        self._running: list[Sequence] = []
        self._reading_steps = 0
        self._read_apart = False

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
        """Take a sequence out, wherever it is; its part of the KV cache is free for others."""
        if sequence.slot == NO_SLOT:
            self._waiting.remove(sequence)
        else:
            self._stop(sequence)

    def plan(self, pace: ReadingPace) -> list[Chunk]:
        """Decide on the next step.

        Sequences that answer get their newest tokens first: one, or more when some were not
        sampled but forced. What is left of the batch goes to those that read their prompts. Where
        fewer answer than wait for their first token, and a step with both is dearer than two, they
        take turns.

        Args:
            pace: Limits the tokens of prompts.
        """
        self._make_room()
        if not self._running:
            self._cache.compact()
        self._let_in()
        self._cache.settle(alone=len(self._running) <= 1)
        plan = [Chunk(item, item.pending) for item in self._running if item.answers]
        reading = [sequence for sequence in self._running if not sequence.answers]
        if not reading:
            return plan
        crowded = len(reading) + self._waiting_for(reading) > len(plan)
        apart = bool(plan) and crowded and pace.apart
        self._read_apart = apart and not self._read_apart
        if apart and not self._read_apart:
            return plan
        return self._with_reads([] if apart else plan, reading, pace, crowded=crowded)

    def room(self, plan: list[Chunk]) -> int:
        """How many more tokens a step may compute for guesses, besides a plan's."""
        cells = self._cache.cells - self._needed(_pending)
        return min(cells, self._batch_size - sum(chunk.size for chunk in plan))

    def reserve(self, plan: list[Chunk]) -> None:
        """Make the cells free that a plan needs."""
        self._cache.reserve(sum(chunk.size for chunk in plan))

    def computed(self, plan: list[Chunk]) -> None:
        """Note that a plan was computed: its tokens are in memory, of drafts nothing is known."""
        for chunk in plan:
            self._extend(chunk.sequence, chunk.count)

    def verified(self, chunk: Chunk, accepted: int) -> None:
        """Keep in memory what was right of a draft, and take out the rest.

        Args:
            chunk: It was computed.
            accepted: So many tokens of the draft were sampled, too, and are in the sequence now.
        """
        if accepted:
            self._extend(chunk.sequence, accepted)
        if accepted < len(chunk.draft):
            chunk.sequence.in_memory = self._cache.restore(chunk.sequence.slot)

    def failed(self, plan: list[Chunk]) -> None:
        """Put the sequences of a plan back to where they were, because it was not computed."""
        for chunk in plan:
            chunk.sequence.in_memory = self._cache.restore(chunk.sequence.slot)

    def _extend(self, sequence: Sequence, count: int) -> None:
        first = sequence.in_memory
        sequence.in_memory += count
        self._cache.extend(sequence.slot, sequence.tokens[first : sequence.in_memory])
        if sequence.in_memory in sequence.borders:
            self._cache.save(sequence.slot)

    def _with_reads(
        self, plan: list[Chunk], reading: list[Sequence], pace: ReadingPace, *, crowded: bool
    ) -> list[Chunk]:
        """A step's plan with as much of prompts as it may have."""
        answers = sum(chunk.count for chunk in plan)
        budget = pace.beside(answers, crowded=crowded) if plan else pace.alone()
        budget = min(budget, self._batch_size - answers)
        # Every running sequence may need a row for the token that it samples.
        spare = self._rows - len(self._running)
        for sequence in self._in_turn(reading):
            count = min(sequence.unbroken, budget)
            if sequence.scores:
                count = min(count, 1 + spare)
                spare -= max(count - 1, 0)
            if count:
                plan.append(Chunk(sequence, count))
                budget -= count
        return plan

    def _in_turn(self, reading: list[Sequence]) -> list[Sequence]:
        """Who reads first: the largest priority, then the shortest; now and then the oldest."""
        self._reading_steps += 1
        ordered = sorted(reading, key=_effort)
        if self._reading_steps % READS_BETWEEN_OLDEST == 0:
            oldest = min(reading, key=_order)
            ordered.remove(oldest)
            ordered.insert(0, oldest)
        return ordered

    def _waiting_for(self, reading: list[Sequence]) -> int:
        """How many have not started because they wait for what others are reading."""
        return sum(sequence.awaited in reading for sequence in self._waiting)

    def _make_room(self) -> None:
        while self._needed(_pending) > self._cache.cells:
            last = max(self._running, key=_rank)
            self._stop(last)
            last.preemptions += 1
            self.add(last)

    def _let_in(self) -> None:
        for sequence in self._waiting[:]:
            if len(self._running) == self._max_sequences:
                return
            # The last token is always computed, because its logits are needed.
            tokens = sequence.tokens[:-1]
            # What is not computed has no logits.
            prefix = NO_PREFIX if sequence.scores else self._cache.find(tokens)
            if self._is_being_read(sequence, prefix):
                continue
            needed = self._needed(_claim, prefix) + _claim(sequence) - prefix.shared
            # Nobody overtakes: a long sequence would wait for ever behind many short ones.
            if self._running and needed > self._cache.cells:
                return
            # While others run, nobody holds them up by reading files.
            if self._running and not self._cache.ready(prefix):
                continue
            self._waiting.remove(sequence)
            slot = self._cache.start(prefix, tokens)
            sequence.start(slot, self._cache.length(slot), self._cache.borders(slot))
            self._running.append(sequence)

    def _is_being_read(self, sequence: Sequence, prefix: Prefix) -> bool:
        """Whether a running sequence is about to compute much of what this one needs, too."""
        if sequence.scores:
            return False
        worth = prefix.length + WORTH_WAITING_TOKENS
        for other in self._running:
            if not self._cache.keeps and not other.borders:
                continue
            # Who has waited goes on to the end, also when little is left.
            known = 0 if other is sequence.awaited else worth
            common = common_length(sequence.tokens[:-1], other.tokens)
            if not self._cache.keeps:
                # Only at its borders will something be there to start from.
                common = max((border for border in other.borders if border <= common), default=0)
            if common > max(known, other.in_memory):
                sequence.awaited = other
                return True
        sequence.awaited = None
        return False

    def _needed(self, more: Callable[[Sequence], int], prefix: Prefix = NO_PREFIX) -> int:
        """The cells of running sequences and of one that may start, with more for the running."""
        lengths = {sequence.slot: sequence.in_memory for sequence in self._running}
        return self._cache.cells_of(lengths, prefix) + sum(map(more, self._running))

    def _stop(self, sequence: Sequence) -> None:
        self._running.remove(sequence)
        self._cache.end(sequence.slot)
        sequence.slot, sequence.in_memory = NO_SLOT, 0


def _claim(sequence: Sequence) -> int:
    """The cells that a sequence needs for now, beside those that it has."""
    wanted = min(len(sequence.tokens) + HEADROOM_TOKENS, sequence.final_length)
    return wanted - sequence.in_memory


def _rank(sequence: Sequence) -> tuple[int, int]:
    return sequence.rank


def _pending(sequence: Sequence) -> int:
    return sequence.pending


def _order(sequence: Sequence) -> int:
    return sequence.order


def _effort(sequence: Sequence) -> tuple[int, int, int]:
    return (-sequence.job.priority, sequence.pending, sequence.order)
