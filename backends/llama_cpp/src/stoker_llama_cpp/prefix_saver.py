"""Copies tokens of slots out of the KV cache to saved prefixes, and back."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterable

from stoker.prefix_tree import PrefixTree
from stoker_llama_cpp.cell_memory import CellMemory
from stoker_llama_cpp.saved_prefixes import (
    WORTH_SAVING_TOKENS,
    Match,
    RestorableState,
    SavedPrefix,
    SavedPrefixes,
)


class PrefixSaver:
    """Saves slots and restores them.

    States of attention can be cut anywhere, so a slot is saved in pieces, and what a saved prefix
    begins with, too, is not saved again. Where llama.cpp cannot cut a saved state back, whole
    states are saved at several lengths, the marks of a slot: before the last token of a prompt,
    and where it parts from another one.
    """

    def __init__(
        self, memory: CellMemory, tree: PrefixTree, free: list[int], saved: SavedPrefixes
    ) -> None:
        """Begin without marks.

        Args:
            memory: The slots' cells.
            tree: The slots' tokens; the owner changes it, and so does `restore`.
            free: Empty slots, the least first; the owner changes it. The first one is used for
                states of parts, because llama.cpp saves and loads whole slots only.
            saved: Where states go.
        """
        self._memory = memory
        self._tree = tree
        self._free = free
        self._saved = saved
        self._marks: dict[int, list[int]] = {}

    @property
    def lasts(self) -> bool:
        """Whether saved prefixes outlive this process."""
        return self._saved.lasts

    @property
    def restores_anywhere(self) -> bool:
        """Whether any part of what is saved can be restored, and not only what ends at a mark."""
        return not self._saved.exact

    def find(self, tokens: array[int]) -> Match:
        """Find what begins with most of these tokens."""
        return self._saved.find(tokens)

    def ready(self, prefix: SavedPrefix) -> bool:
        """Whether `states` would not wait; begins to read from files what it would wait for."""
        return self._saved.ready(prefix)

    def use(self, tokens: array[int]) -> None:
        """Note that a prompt begins."""
        self._saved.use(tokens)

    def mark_prompt(self, slot: int, tokens: array[int]) -> None:
        """Note a prompt, all but its last token, that a slot begins to have."""
        self.mark(slot, self._saved.branch(tokens), len(tokens))

    def mark(self, slot: int, *lengths: int) -> None:
        """Note lengths at which others may start from a slot."""
        if self._saved.exact:
            marks = {*self._marks.get(slot, ()), *lengths}
            self._marks[slot] = sorted(mark for mark in marks if mark >= WORTH_SAVING_TOKENS)

    def inherit(self, slot: int, other: int) -> None:
        """Take over the marks of a slot that goes, and has nothing that this one has not."""
        self.mark(slot, *self._marks.get(other, ()))

    def cut(self, slot: int) -> None:
        """Drop the marks behind a slot's end."""
        length = self._tree.length(slot)
        self._marks[slot] = [mark for mark in self._marks.get(slot, ()) if mark <= length]

    def forget(self, slot: int) -> None:
        """Drop a slot's marks."""
        self._marks.pop(slot, None)

    def borders(self, slot: int) -> list[int]:
        """The marks that a slot has not come to yet."""
        length = self._tree.length(slot)
        return [mark for mark in self._marks.get(slot, ()) if mark > length]

    def worth(self, slot: int) -> list[int]:
        """The lengths at which a slot is worth saving."""
        length = self._tree.length(slot)
        return sorted({*(mark for mark in self._marks.get(slot, ()) if mark < length), length})

    def has(self, slot: int) -> bool:
        """Whether all of a slot is saved that is worth it."""
        row = self._tree.tokens(slot)
        return all(
            length - self._saved.find(row[:length]).length < WORTH_SAVING_TOKENS
            for length in self.worth(slot)
        )

    def save(self, slot: int, lengths: Iterable[int] | None = None) -> None:
        """Save a slot at some lengths, or at all that are worth it, unless it is saved already."""
        for length in self.worth(slot) if lengths is None else lengths:
            while self.save_piece(slot, length):
                pass

    def save_piece(self, slot: int, length: int) -> bool:
        """Save the next piece of a slot's first tokens.

        Returns:
            Whether there was one; another may follow.
        """
        row = self._tree.tokens(slot)[:length]
        known = self._saved.find(row)
        if known.prefix is not None:
            self._saved.touch(known.prefix)
        if len(row) < length or length - known.length < WORTH_SAVING_TOKENS:
            return False
        if not self._memory.reusable(slot, length):
            return False
        if self._saved.exact or not self._free:
            # Without a free slot only a whole one can be copied, whatever is saved of it already.
            whole = length == self._tree.length(slot)
            return (whole or bool(self._free)) and self._copy(slot, row, 0, None)
        piece = self._saved.piece_bytes * self._tree.length(slot) // self._memory.size_bytes(slot)
        end = min(length, known.length + max(piece, WORTH_SAVING_TOKENS))
        return self._copy(slot, row[:end], known.length, known.prefix)

    def states(self, prefix: SavedPrefix, length: int) -> list[RestorableState]:
        """What has to be restored for a prefix's first tokens; waits for files."""
        return self._saved.states(prefix, length)

    def restore(
        self, slot: int, states: list[RestorableState], make_room: Callable[[int], bool]
    ) -> None:
        """Put saved states into an empty slot, as many as can be.

        Args:
            slot: Is in the tree.
            states: Of one prefix.
            make_room: Makes so many cells free; says whether there are so many now.
        """
        for item in states:
            part = item.part
            if not make_room(len(part.tokens) - part.start) or (part.start and not self._free):
                return
            if not self._put(slot, item):
                # Nothing that it lacks: the next one would fail on it, too.
                self._saved.forget(part, broken=True)
                return
            self._tree.extend(slot, part.tokens[part.start : item.end])

    def unwritten(self) -> bool:
        """Whether `write_one` would do something."""
        return self._saved.unwritten

    def write_one(self) -> None:
        """Have one prefix written to a file that waits for a quiet moment."""
        self._saved.write_one()

    def close(self) -> None:
        """Write what lasts."""
        self._saved.close()

    def _put(self, slot: int, item: RestorableState) -> bool:
        part = item.part
        if not part.start:
            if not self._memory.load(slot, item.state):
                return False
            if self._memory.rewind(slot, item.end) < item.end:
                self._memory.forget(slot)
                return False
            return True
        free = self._free[0]
        if not self._memory.load(free, item.state):
            return False
        self._memory.share(free, slot, item.end, part.start)
        self._memory.forget(free)
        return True

    def _copy(self, slot: int, row: array[int], start: int, parent: SavedPrefix | None) -> bool:
        """Copy the state of a part of a slot, if there is room for it."""
        source, is_part = slot, bool(start) or len(row) < self._tree.length(slot)
        if is_part:
            source = self._free[0]
            self._memory.share(slot, source, len(row), start)
        state = None
        if self._saved.admit(self._memory.size_bytes(source), parent):
            state = self._memory.save(source)
        if is_part:
            self._memory.forget(source)
        if state is None:
            return False
        self._saved.add(row, start, parent, state)
        return True
