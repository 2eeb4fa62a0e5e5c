"""The prefix cache: what was computed of prompts and answers, for those that begin with it."""

from __future__ import annotations

from array import array
from collections import OrderedDict

import attrs

from stoker.prefix_tree import ROOT_SLOT, PrefixTree
from stoker_mlx.caches import Caches, copied, cut, cuttable, size_bytes

WORTH_KEEPING_TOKENS = 16
"""Fewer tokens are read again in less time than it takes to keep them."""


@attrs.frozen(eq=False)
class Entry:
    """A row of tokens, and the caches after them."""

    id: int
    length: int
    caches: Caches
    size_bytes: int
    cuttable: bool
    """Whether its beginning serves as well. States and windows only serve as a whole."""


@attrs.frozen
class Prefix:
    """The longest beginning of a prompt that is known."""

    length: int
    entry: Entry | None = None


NO_PREFIX = Prefix(0)


class PrefixCache:
    """Keeps caches up to a number of bytes, the most recently used ones.

    Keeping and taking copy nothing: see `stoker_mlx.caches`.
    """

    def __init__(self, max_bytes: int) -> None:
        """Make an empty one.

        Args:
            max_bytes: What all entries may take together; 0 keeps none.
        """
        self._max_bytes = max_bytes
        self._tree = PrefixTree()
        # By id, the least recently used first.
        self._entries: OrderedDict[int, Entry] = OrderedDict()
        self._next_id = 0
        self.size_bytes = 0

    def wants(self, tokens: array[int]) -> bool:
        """Whether caches of these tokens would be kept, so that it is worth to get them."""
        if len(tokens) < WORTH_KEEPING_TOKENS or not self._max_bytes:
            return False
        return self.find(tokens).length < len(tokens)

    def find(self, tokens: array[int]) -> Prefix:
        """Find the longest prefix of a row of tokens."""
        for length, ids in self._tree.matches(tokens):
            for entry in map(self._entries.__getitem__, sorted(ids)):
                if length == entry.length or entry.cuttable:
                    return Prefix(length, entry)
        return NO_PREFIX

    def take(self, prefix: Prefix) -> Caches:
        """Caches that go on from a prefix, which was just found; it stays where it is."""
        if prefix.entry is None:
            return []
        self._entries.move_to_end(prefix.entry.id)
        caches = copied(prefix.entry.caches)
        cut(caches, prefix.entry.length - prefix.length)
        return caches

    def keep(self, tokens: array[int], caches: Caches) -> None:
        """Keep caches, unless they are known or too large.

        Args:
            tokens: What is in them, all of it.
            caches: May be extended by their owner afterwards.
        """
        size = size_bytes(caches)
        if size > self._max_bytes or not self.wants(tokens):
            return
        is_cuttable = cuttable(caches)
        if is_cuttable:
            # What the new entry begins with is in it.
            for length, ids in self._tree.matches(tokens):
                for entry in map(self._entries.__getitem__, list(ids)):
                    if length == entry.length and entry.cuttable:
                        self._drop(entry)
        entry = Entry(self._next_id, len(tokens), copied(caches), size, is_cuttable)
        self._next_id += 1
        while self._entries and self.size_bytes + size > self._max_bytes:
            self._drop(next(iter(self._entries.values())))
        # Rows share the runs of those that they begin with.
        shared = next(iter(self._tree.matches(tokens)), None)
        length, source = (shared[0], min(shared[1])) if shared else (0, ROOT_SLOT)
        self._tree.start(entry.id, source, length)
        if length < len(tokens):
            self._tree.extend(entry.id, tokens[length:])
        self._entries[entry.id] = entry
        self.size_bytes += size

    def clear(self) -> None:
        """Forget everything."""
        for entry in list(self._entries.values()):
            self._drop(entry)

    def _drop(self, entry: Entry) -> None:
        del self._entries[entry.id]
        self._tree.remove(entry.id)
        self.size_bytes -= entry.size_bytes
