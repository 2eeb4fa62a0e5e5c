"""A KV cache as llama.cpp has it, without a model: cells, and the slots that they are of."""

from __future__ import annotations

import json
from collections.abc import Callable

import attrs

STATE_TOKEN_BYTES = 2000
"""More than a token and all before it take here."""


@attrs.define(eq=False)
class Cell:
    """A cell, with all tokens that what is in it was computed from."""

    tokens: tuple[int, ...]
    slots: set[int]


class FakeCellMemory:
    """Follows the rules of llama.cpp's unified cache, and breaks when they are broken.

    Attributes:
        cells: Those that are taken.
        shared: The calls of `share`.
        loads_fail: Whether `load` does nothing.
    """

    def __init__(
        self,
        size: int,
        refuses: Callable[[int], bool] = lambda length: False,
        *,
        recurrent: bool = False,
    ) -> None:
        """Make an empty memory.

        Args:
            size: How many cells there are.
            refuses: From which lengths nothing can go on.
            recurrent: Whether a slot can be gone on with at its end only.
        """
        self._recurrent = recurrent
        self.cells: list[Cell] = []
        self.shared: list[tuple[int, int, int]] = []
        self.loads_fail = False
        self._size = size
        self._refuses = refuses

    def row(self, slot: int) -> list[Cell]:
        """The cells of a slot, by position."""
        return sorted(
            (cell for cell in self.cells if slot in cell.slots), key=lambda cell: len(cell.tokens)
        )

    def compute(self, slot: int, tokens: list[int]) -> None:
        """Compute a sequence's next tokens."""
        row = self.row(slot)
        for token in tokens:
            before = row[-1].tokens if row else ()
            row.append(Cell((*before, token), {slot}))
            self.cells.append(row[-1])
        assert len(self.cells) <= self._size, "llama_decode found no room"

    def tokens(self, slot: int) -> list[int]:
        """What a slot's next token would be computed from."""
        row = self.row(slot)
        assert list(range(1, len(row) + 1)) == [len(cell.tokens) for cell in row]
        found = row[-1].tokens if row else ()
        assert all(cell.tokens == found[: len(cell.tokens)] for cell in row)
        return list(found)

    def share(self, source: int, slot: int, length: int, start: int = 0) -> None:
        """Give a slot some cells of another one."""
        assert source != slot
        assert not any(start < len(cell.tokens) <= length for cell in self.row(slot))
        assert not self._refuses(length)
        assert not self._recurrent
        cells = [cell for cell in self.row(source) if start < len(cell.tokens) <= length]
        assert 0 < length - start == len(cells)
        self.shared.append((source, slot, length))
        for cell in cells:
            cell.slots.add(slot)

    def size_bytes(self, slot: int) -> int:
        """The size of a saved state."""
        return STATE_TOKEN_BYTES * len(self.row(slot))

    def save(self, slot: int) -> memoryview:
        """Copy a slot's cells."""
        assert self.row(slot)
        content = json.dumps([cell.tokens for cell in self.row(slot)]).encode()
        state = content.ljust(self.size_bytes(slot))
        return memoryview(state)

    def load(self, slot: int, state: memoryview) -> bool:
        """Put cells into an empty slot, unless it refuses to."""
        assert not self.row(slot)
        if self.loads_fail:
            return False
        self.cells += [Cell(tuple(tokens), {slot}) for tokens in json.loads(bytes(state))]
        assert len(self.cells) <= self._size, "the state found no room"
        return True

    def reusable(self, slot: int, length: int) -> bool:
        """Whether a sequence can go on from there."""
        if self._recurrent and length != len(self.row(slot)):
            return False
        return not self._refuses(length)

    def rewind(self, slot: int, length: int) -> int:
        """Cut a slot, or empty it when it cannot go on from there."""
        if not self.reusable(slot, length):
            length = 0
        for cell in self.row(slot)[length:]:
            cell.slots.discard(slot)
        self.cells = [cell for cell in self.cells if cell.slots]
        return min(length, len(self.row(slot)))

    def forget(self, slot: int) -> None:
        """Empty a slot."""
        self.rewind(slot, 0)
