"""Who has which part of the KV cache, and what is kept in it of sequences that have ended."""

from __future__ import annotations

import heapq
from array import array
from typing import Protocol

import attrs

from stoker_llama_cpp.prefix_tree import ROOT_SLOT, PrefixTree

EVICTED_TOKENS = 64
"""What is evicted at least, so that a full cache is not searched for one cell in every step."""


class CellMemory(Protocol):
    """llama.cpp's side of the KV cache."""

    def share(self, source: int, slot: int, length: int) -> None:
        """Give an empty slot the first tokens of another one; nothing is copied."""

    def reusable(self, slot: int, length: int) -> bool:
        """Whether a sequence can go on from a slot's first so many tokens."""

    def rewind(self, slot: int, length: int) -> int:
        """Cut a slot down to so many tokens, or to none; returns how many it has then."""

    def forget(self, slot: int) -> None:
        """Empty a slot."""


@attrs.frozen
class Prefix:
    """What is in memory of a sequence that has not started."""

    length: int
    slot: int
    """Has these tokens, and maybe more."""


NO_PREFIX = Prefix(0, ROOT_SLOT)


class KVCache:
    """Gives sequences slots, and counts the cells that these have.

    A slot is one of llama.cpp's sequences. While a sequence runs it has a slot to itself. When it
    ends, its slot is kept with all that was computed, as a prefix for others, until its cells or
    the slot are needed: then the least recently used slot gives up cells from its end.

    Attributes:
        cells: How many tokens it holds.
        keeps: Whether prefixes are shared and kept.
    """

    def __init__(self, memory: CellMemory, *, cells: int, slots: int, keeps: bool) -> None:
        """Make an empty cache.

        Args:
            memory: What llama.cpp has in its cells; is told of everything but computed tokens.
            cells: How many tokens it holds.
            slots: How many slots there are; at least as many as sequences run side by side.
            keeps: Whether prefixes are shared, and kept when a sequence has ended.
        """
        self.cells = cells
        self._memory = memory
        self.keeps = keeps
        self._tree = PrefixTree()
        self._free = list(range(slots))
        # Slots of ended sequences, the least recently used first. The values mean nothing.
        self._kept: dict[int, None] = {}

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
        """Find the longest prefix in memory, of running and of ended sequences."""
        if self.keeps:
            for length, slots in self._tree.matches(tokens):
                # A slot that ends there and is free to go on comes first.
                for slot in sorted(slots, key=self._precedence):
                    if self._memory.reusable(slot, length):
                        return Prefix(length, slot)
        return NO_PREFIX

    def start(self, prefix: Prefix) -> int:
        """Give a sequence a slot that begins with a prefix. Fewer sequences than slots may run.

        Returns:
            The slot; `length` tells what is in it.
        """
        source = prefix.slot
        if source in self._kept:
            # Used just now: others are evicted before it.
            del self._kept[source]
            if prefix.length == self.length(source) or not (self._free or self._kept):
                self._cut(source, prefix.length)
                return source
            self._kept[source] = None
        if not self._free:
            self._drop(next(iter(self._kept)))
        slot = heapq.heappop(self._free)
        self._tree.start(slot, source, prefix.length)
        if prefix.length:
            self._memory.share(source, slot, prefix.length)
        return slot

    def extend(self, slot: int, tokens: array[int]) -> None:
        """Note that tokens were computed."""
        self._tree.extend(slot, tokens)

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
            slot = next(iter(self._kept))
            length, own = self.length(slot), self._tree.own(slot)
            evicted = max(missing, EVICTED_TOKENS)
            if evicted < own:
                self._cut(slot, length - evicted)
            # Without cells of its own, a slot has nothing that another one has not, too.
            if evicted >= own or not self.length(slot):
                self._drop(slot)

    def _cut(self, slot: int, length: int) -> None:
        self._tree.cut(slot, self._memory.rewind(slot, length))

    def _drop(self, slot: int) -> None:
        self._memory.forget(slot)
        self._tree.remove(slot)
        self._kept.pop(slot, None)
        heapq.heappush(self._free, slot)

    def _precedence(self, slot: int) -> tuple[int, bool]:
        return self.length(slot), slot not in self._kept
