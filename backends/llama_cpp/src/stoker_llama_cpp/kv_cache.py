"""Who has which part of the KV cache, and what is kept in it of sequences that have ended."""

from __future__ import annotations

import heapq
import itertools
from array import array
from collections.abc import Iterable
from typing import Protocol

import attrs

from stoker_llama_cpp.prefix_tree import ROOT_SLOT, PrefixTree
from stoker_llama_cpp.saved_prefixes import WORTH_SAVING_TOKENS, SavedPrefix, SavedPrefixes

EVICTED_TOKENS = 64
"""What is evicted at least, so that a full cache is not searched for one cell in every step."""

_FIRST_BORDER = 256
"""Where recurrent layers are first saved, whatever the prompt; later ones at twice as many."""


class CellMemory(Protocol):
    """llama.cpp's side of the KV cache."""

    def share(self, source: int, slot: int, length: int, start: int = 0) -> None:
        """Give a slot another one's tokens from `start` to `length`; nothing is copied.

        The slot has no tokens at these positions, and later none before `start` but with `load`.
        """

    def reusable(self, slot: int, length: int) -> bool:
        """Whether a sequence can go on from a slot's first so many tokens."""

    def rewind(self, slot: int, length: int) -> int:
        """Cut a slot down to so many tokens, or to none; returns how many it has then."""

    def forget(self, slot: int) -> None:
        """Empty a slot."""

    def size_bytes(self, slot: int) -> int:
        """How large the state of a slot's tokens is, when it is saved."""

    def save(self, slot: int) -> memoryview | None:
        """Copy the state of a slot's tokens; None when it cannot be copied."""

    def load(self, slot: int, state: memoryview) -> bool:
        """Put a saved state into an empty slot, in free cells.

        Returns:
            Whether it could be done; the slot is empty otherwise.
        """


@attrs.frozen
class Prefix:
    """What is in memory of a sequence that has not started."""

    length: int
    slot: int
    """Has these tokens, and maybe more."""
    saved: SavedPrefix | None = None
    """Is restored instead, when it is not in a slot."""

    @property
    def shared(self) -> int:
        """How many of the tokens are in cells already."""
        return 0 if self.saved else self.length


NO_PREFIX = Prefix(0, ROOT_SLOT)


class KVCache:
    """Gives sequences slots, and counts the cells that these have.

    A slot is one of llama.cpp's sequences. While a sequence runs it has a slot to itself. When it
    ends, its slot is kept with all that was computed, as a prefix for others, until its cells or
    the slot are needed: then the least recently used slot gives up cells from its end. What leaves
    the cache so is saved in host memory first, and restored when a prompt begins with it.

    Where llama.cpp cannot cut a saved state back, states are saved at several lengths, the marks
    of a slot: before the last token of a prompt, and where it parts from another one.

    Attributes:
        cells: How many tokens it holds.
        keeps: Whether prefixes are shared and kept.
    """

    def __init__(
        self,
        memory: CellMemory,
        *,
        cells: int,
        slots: int,
        keeps: bool,
        kept_tokens: int | None = None,
        saved: SavedPrefixes | None = None,
    ) -> None:
        """Make an empty cache.

        Args:
            memory: What llama.cpp has in its cells; is told of everything but computed tokens.
            cells: How many tokens it holds.
            slots: How many slots there are; at least as many as sequences run side by side.
            keeps: Whether prefixes are shared, and kept when a sequence has ended.
            kept_tokens: How many tokens of ended sequences stay in it; None for all.
            saved: Where prefixes go that leave it; None to forget them.
        """
        self.cells = cells
        self._memory = memory
        self.keeps = keeps
        self._tree = PrefixTree()
        self._free = list(range(slots))
        # Slots of ended sequences, the least recently used first. The values mean nothing.
        self._kept: dict[int, None] = {}
        self._kept_tokens = cells if kept_tokens is None else kept_tokens
        self._saved = saved
        self._marks: dict[int, list[int]] = {}
        # The most cells that were taken since all were free, and so where the highest one may be.
        self._top = 0

    def length(self, slot: int) -> int:
        """How many tokens a slot has."""
        return self._tree.length(slot)

    def cells_of(self, lengths: dict[int, int], prefix: Prefix = NO_PREFIX) -> int:
        """How many cells sequences have together, each shared one counted once.

        Args:
            lengths: How many tokens they have in memory, by slot.
            prefix: Of one more sequence that may start.
        """
        known = max(lengths.get(prefix.slot, 0), prefix.length)
        return self._tree.cells_of({**lengths, prefix.slot: known})

    def find(self, tokens: array[int]) -> Prefix:
        """Find the longest prefix, of running and of ended sequences, or saved."""
        prefix = self._find(tokens) if self.keeps else NO_PREFIX
        if self._saved is not None:
            saved = self._saved.find(tokens)
            if saved.length >= prefix.length + WORTH_SAVING_TOKENS:
                return Prefix(saved.length, ROOT_SLOT, saved.prefix)
        return prefix

    def start(self, prefix: Prefix, tokens: array[int]) -> int:
        """Give a sequence a slot that begins with a prefix. Fewer sequences than slots may run.

        Args:
            prefix: As it was just found.
            tokens: That it was found for.

        Returns:
            The slot; `length` tells what is in it, which is less when a saved prefix is lost.
        """
        slot = self._restored(prefix) if prefix.saved else self._shared(prefix)
        if self._saved is not None and self._saved.exact:
            self._mark(slot, self._saved.branch(tokens), len(tokens))
        return slot

    def borders(self, slot: int) -> list[int]:
        """At which lengths a sequence should stop for `save`: its past is lost when it goes on."""
        if self.keeps or self._saved is None:
            return []
        length = self.length(slot)
        return [mark for mark in self._marks.get(slot, ()) if mark > length]

    def save(self, slot: int) -> None:
        """Save a running sequence as it is."""
        self._save(slot, [self.length(slot)])

    def compact(self) -> None:
        """Save what is kept and empty the cache, when nobody runs and it has large holes.

        llama.cpp looks at all cells up to the highest one in use. Where that is, it does not tell;
        rows that were computed side by side lie mixed, and what is left of them may lie high up.
        """
        if self._saved is None or self._saved.exact:
            return
        if self._top - self._tree.cells > self._kept_tokens:
            for slot in list(self._kept):
                self._save(slot, [self.length(slot)])
                self._drop(slot)

    def settle(self, *, alone: bool) -> None:
        """Evict what is kept beyond the limit, before a step adds to it.

        Args:
            alone: Whether one sequence runs at most. Beside others, only one row is evicted, so
                that no step becomes much longer by it.
        """
        while self._kept and self._tree.cells > self._kept_tokens:
            running = self._tree.lengths(excluded=set(self._free) | self._kept.keys())
            excess = self._tree.cells - self._tree.cells_of(running) - self._kept_tokens
            if excess <= 0:
                return
            self._evict(excess)
            if not alone:
                return

    def extend(self, slot: int, tokens: array[int]) -> None:
        """Note that tokens were computed."""
        self._tree.extend(slot, tokens)
        self._top = max(self._top, self._tree.cells)

    def restore(self, slot: int) -> int:
        """Put a slot back to what was noted, after a computation that failed.

        Returns:
            How many tokens are in it now.
        """
        self._cut(slot, self.length(slot))
        return self.length(slot)

    def end(self, slot: int) -> None:
        """Take a slot from its sequence. What is in it is kept, unless another slot has it, too."""
        length = self.length(slot)
        if not self.keeps or not length:
            self._save(slot, [length])
            self._drop(slot)
            return
        matches = self._tree.matches(self._tree.tokens(slot))
        others = [(matched, other) for matched, slots in matches for other in slots - {slot}]
        if any(
            matched == length and self._memory.reusable(other, length) for matched, other in others
        ):
            self._drop(slot)
            return
        for matched, other in others:
            is_prefix = other in self._kept and matched == self.length(other)
            if is_prefix and self._memory.reusable(slot, matched):
                self._drop(other)
        self._kept[slot] = None

    def reserve(self, count: int) -> None:
        """Evict until there are so many free cells, or nothing is kept any more."""
        while (missing := self._tree.cells + count - self.cells) > 0 and self._kept:
            self._evict(missing)

    def close(self) -> None:
        """Save everything, if that outlives the cache."""
        if self._saved is not None and self._saved.lasts:
            for slot in self._tree.lengths(excluded=set(self._free)):
                self._save(slot, self._worth(slot))
            self._saved.close()

    def _find(self, tokens: array[int]) -> Prefix:
        for length, slots in self._tree.matches(tokens):
            # A slot that ends there and is free to go on comes first.
            for slot in sorted(slots, key=self._precedence):
                if self._memory.reusable(slot, length):
                    return Prefix(length, slot)
        return NO_PREFIX

    def _shared(self, prefix: Prefix) -> int:
        """A slot that shares a prefix's cells, or the one that has the prefix."""
        source = prefix.slot
        if source in self._kept:
            # Used just now: others are evicted before it.
            del self._kept[source]
            if prefix.length == self.length(source) or not (self._free or self._kept):
                if prefix.length < self.length(source):
                    self._save(source, self._worth(source))
                self._cut(source, prefix.length)
                return source
            self._kept[source] = None
            self._mark(source, prefix.length)
        slot = self._taken()
        self._tree.start(slot, source, prefix.length)
        if prefix.length:
            self._memory.share(source, slot, prefix.length)
        return slot

    def _restored(self, prefix: Prefix) -> int:
        """A slot into which a saved prefix was put, or as much of it as could be."""
        slot = self._taken()
        self._tree.start(slot, ROOT_SLOT, 0)
        if self._saved is None or prefix.saved is None:
            return slot
        self._saved.touch(prefix.saved)
        states = self._saved.states(prefix.saved)
        for (part, state), (after, _) in itertools.zip_longest(
            states, states[1:], fillvalue=(None, None)
        ):
            end = after.start if after else min(prefix.length, len(part.tokens))
            target = slot
            if part.start:
                if not self._free:
                    break
                target = self._free[0]
            count = len(part.tokens) - part.start
            self.reserve(count)
            if self._tree.cells + count > self.cells or not self._memory.load(target, state):
                break
            if part.start:
                self._memory.share(target, slot, end, part.start)
                self._memory.forget(target)
            elif self._memory.rewind(slot, end) < end:
                self._memory.forget(slot)
                break
            self._tree.extend(slot, part.tokens[part.start : end])
        return slot

    def _taken(self) -> int:
        """A free slot; the least recently used prefix gives its own when there is none."""
        if not self._free:
            oldest = next(iter(self._kept))
            self._save(oldest, self._worth(oldest))
            self._drop(oldest)
        return heapq.heappop(self._free)

    def _evict(self, count: int) -> None:
        """Take some cells from the least recently used prefix, or all that it has."""
        slot = next(iter(self._kept))
        length, own = self.length(slot), self._tree.own(slot)
        self._save(slot, self._worth(slot))
        evicted = max(count, EVICTED_TOKENS)
        if evicted < own:
            self._cut(slot, length - evicted)
        # Without cells of its own, a slot has nothing that another one has not, too.
        if evicted >= own or not self.length(slot):
            self._drop(slot)

    def _worth(self, slot: int) -> list[int]:
        """The lengths at which a slot is worth saving."""
        return [*self._marks.get(slot, ()), self.length(slot)]

    def _save(self, slot: int, lengths: Iterable[int]) -> None:
        """Save a slot's first tokens, unless they are saved already or not worth it."""
        saved = self._saved
        if saved is None or not self.length(slot):
            return
        row = self._tree.tokens(slot)
        for wanted in sorted(set(lengths)):
            found = saved.find(row[:wanted])
            if found.prefix is not None:
                saved.touch(found.prefix)
            if wanted - found.length < WORTH_SAVING_TOKENS:
                continue
            if not self._memory.reusable(slot, wanted):
                continue
            start, parent, length = 0, None, wanted
            if not saved.exact:
                if self._free:
                    start, parent = found.length, found.prefix
                # Of what is too large, the beginning is kept.
                fits = saved.limit_bytes * len(row) // self._memory.size_bytes(slot)
                length = min(length, start + fits)
            if length - start >= WORTH_SAVING_TOKENS and (self._free or length == len(row)):
                self._copy(slot, SavedPrefix(row[:length], start, parent, None))

    def _copy(self, slot: int, prefix: SavedPrefix) -> None:
        """Copy the state of some of a slot's tokens, if there is room for it."""
        saved, source, length = self._saved, slot, len(prefix.tokens)
        if saved is None:
            return
        part = prefix.start or length < self.length(slot)
        if part:
            # States are of whole slots, so the part is shared with a free one for the moment.
            source = self._free[0]
            self._memory.share(slot, source, length, prefix.start)
        if saved.admit(self._memory.size_bytes(source), prefix.parent):
            prefix.state = self._memory.save(source)
            if prefix.state is not None:
                saved.add(prefix)
        if part:
            self._memory.forget(source)

    def _mark(self, slot: int, *lengths: int) -> None:
        """Note lengths at which others may start from a slot."""
        if self._saved is not None and self._saved.exact:
            marks = {*self._marks.get(slot, ()), *lengths}
            if not self.keeps:
                # Nothing else is ever left of such a sequence.
                border = _FIRST_BORDER
                while border < max(lengths):
                    if all(abs(border - mark) >= WORTH_SAVING_TOKENS for mark in marks):
                        marks.add(border)
                    border *= 2
            self._marks[slot] = sorted(mark for mark in marks if mark >= WORTH_SAVING_TOKENS)

    def _cut(self, slot: int, length: int) -> None:
        self._tree.cut(slot, self._memory.rewind(slot, length))
        if slot in self._marks:
            self._marks[slot] = [mark for mark in self._marks[slot] if mark <= self.length(slot)]

    def _drop(self, slot: int) -> None:
        self._memory.forget(slot)
        self._tree.remove(slot)
        self._kept.pop(slot, None)
        self._marks.pop(slot, None)
        heapq.heappush(self._free, slot)
        if not self._tree.cells:
            self._top = 0

    def _precedence(self, slot: int) -> tuple[int, bool]:
        return self.length(slot), slot not in self._kept
