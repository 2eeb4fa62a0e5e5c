"""Who has which part of the KV cache, and what is kept in it of sequences that have ended."""

from __future__ import annotations

import heapq
from array import array

import attrs

from stoker.prefix_tree import ROOT_SLOT, PrefixTree
from stoker_llama_cpp.cell_memory import CellMemory
from stoker_llama_cpp.prefix_saver import PrefixSaver
from stoker_llama_cpp.saved_prefixes import WORTH_SAVING_TOKENS, SavedPrefix, SavedPrefixes

EVICTED_TOKENS = 64
"""What is evicted at least, so that a full cache is not searched for one cell in every step."""

HOLES_TOKENS = 256
"""How much higher than needed cells may lie before the cache is emptied to start anew."""


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
        self._saver = PrefixSaver(memory, self._tree, self._free, saved) if saved else None
        # Kept slots that may not be saved, and the lengths that are to be.
        self._unsaved: dict[int, list[int]] = {}
        self._settled = True
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
        if self._saver is not None:
            saved = self._saver.find(tokens)
            if saved.length >= prefix.length + WORTH_SAVING_TOKENS:
                return Prefix(saved.length, ROOT_SLOT, saved.prefix)
        return prefix

    def ready(self, prefix: Prefix) -> bool:
        """Whether `start` would not wait for files; begins to read what it would wait for."""
        return self._saver is None or prefix.saved is None or self._saver.ready(prefix.saved)

    def start(self, prefix: Prefix, tokens: array[int]) -> int:
        """Give a sequence a slot that begins with a prefix. Fewer sequences than slots may run.

        Args:
            prefix: As it was just found.
            tokens: That it was found for.

        Returns:
            The slot; `length` tells what is in it, which is less when a saved prefix is lost.
        """
        self._settled = False
        if self._saver is None:
            return self._shared(prefix)
        self._saver.use(tokens)
        if prefix.saved is None:
            slot = self._shared(prefix)
        else:
            slot = self._restored(self._saver, prefix.saved, prefix.length)
        self._saver.mark_prompt(slot, tokens)
        return slot

    def borders(self, slot: int) -> list[int]:
        """At which lengths a sequence should stop for `save`: its past is lost when it goes on."""
        return [] if self.keeps or self._saver is None else self._saver.borders(slot)

    def save(self, slot: int) -> None:
        """Save a running sequence as it is."""
        if self._saver is not None:
            self._saver.save(slot, [self.length(slot)])

    @property
    def untidy(self) -> bool:
        """Whether `tidy` would do something."""
        return bool(self._unsaved) or (self._saver is not None and self._saver.unwritten())

    def tidy(self) -> None:
        """Do a piece of what can be done while nobody waits, so that the next start is short.

        What is kept is saved before it has to leave, and what was used is written to files.
        """
        if self._saver is None:
            return
        if not self._unsaved:
            self._saver.write_one()
            return
        slot, lengths = next(iter(self._unsaved.items()))
        if not self._saver.save_piece(slot, lengths[0]):
            del lengths[0]
            if not lengths:
                del self._unsaved[slot]

    def compact(self) -> None:
        """Save what is kept and empty the cache, when nobody runs and it has large holes.

        llama.cpp looks at all cells up to the highest one in use. Where that is, it does not tell;
        rows that were computed side by side lie mixed, and what is left of them may lie high up.
        """
        if self._saver is None or not self._saver.restores_anywhere:
            return
        if self._top - self._tree.cells > HOLES_TOKENS:
            for slot in list(self._kept):
                self._save(slot)
                if self._saver.has(slot):
                    self._drop(slot)

    def settle(self, *, alone: bool) -> None:
        """Evict what is kept beyond the limit, before a step adds to it.

        Args:
            alone: Whether one sequence runs at most. Beside others, only one row is evicted, so
                that no step becomes much longer by it.
        """
        if self._settled:
            return
        for slot in list(self._kept):
            running = self._tree.lengths(excluded=set(self._free) | self._kept.keys())
            excess = self._tree.cells - self._tree.cells_of(running) - self._kept_tokens
            if excess <= 0:
                break
            self._save(slot)
            # What found no room elsewhere is worth more than the time that it costs here.
            if self._saver is None or self._saver.has(slot):
                self._evict(slot, excess)
                if not alone:
                    return
        self._settled = True

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
        self._settled = False
        length = self.length(slot)
        if not self.keeps or not length:
            if length:
                self.save(slot)
            self._drop(slot)
            return
        matches = self._tree.matches(self._tree.tokens(slot))
        others = [(matched, other) for matched, slots in matches for other in slots - {slot}]
        for matched, other in others:
            if matched == length and self._memory.reusable(other, length):
                self._replace(slot, other)
                return
        for matched, other in others:
            is_prefix = other in self._kept and matched == self.length(other)
            if is_prefix and self._memory.reusable(slot, matched):
                self._replace(other, slot)
        self._kept[slot] = None
        if self._saver is not None:
            self._unsaved[slot] = self._saver.worth(slot)

    def reserve(self, count: int) -> None:
        """Evict until there are so many free cells, or nothing is kept any more."""
        while (missing := self._tree.cells + count - self.cells) > 0 and self._kept:
            slot = next(iter(self._kept))
            self._save(slot)
            self._evict(slot, missing)

    def close(self) -> None:
        """Save everything, if that outlives the cache."""
        if self._saver is not None:
            if self._saver.lasts:
                for slot in self._tree.lengths(excluded=set(self._free)):
                    self._saver.save(slot)
            self._saver.close()

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
                    self._save(source)
                    self._cut(source, prefix.length)
                self._unsaved.pop(source, None)
                return source
            self._kept[source] = None
            if self._saver is not None:
                self._saver.mark(source, prefix.length)
        slot = self._taken()
        self._tree.start(slot, source, prefix.length)
        if prefix.length:
            self._memory.share(source, slot, prefix.length)
        return slot

    def _restored(self, saver: PrefixSaver, saved: SavedPrefix, length: int) -> int:
        """A slot into which a saved prefix was put, or as much of it as could be."""
        # Before a slot is taken: what leaves that one may displace what is wanted here.
        states = saver.states(saved, length)
        slot = self._taken()
        self._tree.start(slot, ROOT_SLOT, 0)
        saver.restore(slot, states, self._made_room)
        self._top = max(self._top, self._tree.cells)
        return slot

    def _made_room(self, count: int) -> bool:
        self.reserve(count)
        # A part of what is loaded may be cut at once, but has its cells first.
        self._top = max(self._top, self._tree.cells + count)
        return self._tree.cells + count <= self.cells

    def _taken(self) -> int:
        """A free slot; the least recently used prefix gives its own when there is none."""
        if not self._free:
            oldest = next(iter(self._kept))
            self._save(oldest)
            self._drop(oldest)
        return heapq.heappop(self._free)

    def _evict(self, slot: int, count: int) -> None:
        """Take some cells from a prefix, or all that it has."""
        length, own = self.length(slot), self._tree.own(slot)
        evicted = max(count, EVICTED_TOKENS)
        if evicted < own:
            self._cut(slot, length - evicted)
        # Without cells of its own, a slot has nothing that another one has not, too.
        if evicted >= own or not self.length(slot):
            self._drop(slot)

    def _save(self, slot: int) -> None:
        if self._saver is not None:
            self._saver.save(slot)
            self._unsaved.pop(slot, None)

    def _replace(self, slot: int, other: int) -> None:
        """Give up a slot, because another one has all that is in it."""
        if self._saver is not None:
            self._saver.inherit(other, slot)
        self._drop(slot)

    def _cut(self, slot: int, length: int) -> None:
        self._tree.cut(slot, self._memory.rewind(slot, length))
        if self._saver is not None:
            self._saver.cut(slot)

    def _drop(self, slot: int) -> None:
        self._memory.forget(slot)
        self._tree.remove(slot)
        self._kept.pop(slot, None)
        self._unsaved.pop(slot, None)
        if self._saver is not None:
            self._saver.forget(slot)
        heapq.heappush(self._free, slot)
        if not self._tree.cells:
            self._top = 0

    def _precedence(self, slot: int) -> tuple[int, bool]:
        return self.length(slot), slot not in self._kept
