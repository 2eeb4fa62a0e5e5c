"""The prefix tree: which tokens are in which slots, and which cells slots share."""

from __future__ import annotations

from array import array
from collections.abc import Container, Mapping

import attrs

ROOT_SLOT = -1
"""Stands for no slot: the row that every other one begins with, which has no tokens."""


@attrs.define(eq=False)
class _Run:
    """A run of cells that the same slots have."""

    start: int
    """The position of its first token."""
    tokens: array[int]
    parent: _Run | None
    """The run before; None at the root, which is empty and belongs to nobody."""
    slots: set[int]
    """Those of all rows that go through it or end in it."""
    children: list[_Run] = attrs.field(factory=list)
    """Two of them may begin with the same tokens, when both were computed at the same time."""

    @property
    def end(self) -> int:
        """The position behind its last token."""
        return self.start + len(self.tokens)


class PrefixTree:
    """A radix tree over tokens, whose nodes are runs of cells.

    Each slot has a row of tokens: the path from the root to the run in which the row ends. Rows
    that were started from one another share runs, as an engine may share their cells. So the
    tree tells the longest row that a prompt begins with, and how many cells there really are.

    Attributes:
        cells: How many cells all rows have, each shared one counted once.
    """

    def __init__(self) -> None:
        self.cells = 0
        self._ends = {ROOT_SLOT: _Run(0, array("i"), None, set())}

    def length(self, slot: int) -> int:
        """How many tokens a row has."""
        return self._ends[slot].end

    def tokens(self, slot: int) -> array[int]:
        """A row's tokens."""
        parts = []
        run: _Run | None = self._ends[slot]
        while run is not None:
            parts.append(run.tokens)
            run = run.parent
        row = array("i")
        for part in reversed(parts):
            row += part
        return row

    def lengths(self, *, excluded: Container[int]) -> dict[int, int]:
        """How many tokens the rows of all slots have but of those that are excluded."""
        return {
            slot: run.end
            for slot, run in self._ends.items()
            if slot != ROOT_SLOT and slot not in excluded
        }

    def own(self, slot: int) -> int:
        """How many tokens at a row's end are in cells that no other row has."""
        end = run = self._ends[slot]
        while run.parent is not None and run.slots == {slot}:
            run = run.parent
        return end.end - run.end

    def matches(self, tokens: array[int]) -> list[tuple[int, set[int]]]:
        """What the tokens begin with: lengths, the largest first, and the slots that have these."""
        found = []
        runs = list(self._ends[ROOT_SLOT].children)
        while runs:
            run = runs.pop()
            same = common_length(tokens[run.start : run.end], run.tokens)
            if same:
                found.append((run.start + same, run.slots))
            if same == len(run.tokens):
                runs += run.children
        found.sort(key=_length, reverse=True)
        return found

    def cells_of(self, lengths: Mapping[int, int]) -> int:
        """How many cells some rows have together, each shared one counted once.

        Args:
            lengths: The slots, and how many of each one's tokens count.
        """
        covered: dict[_Run, int] = {}
        for slot, length in lengths.items():
            run = self._ends[slot]
            while run.parent is not None:
                part = min(run.end, length) - run.start
                if part > 0:
                    if covered.get(run, 0) >= part:
                        break
                    covered[run] = part
                run = run.parent
        return sum(covered.values())

    def start(self, slot: int, source: int, length: int) -> None:
        """Start a row that shares the first tokens of another one."""
        self._ends[slot] = run = self._part(self._ends[source], length)
        while run.parent is not None:
            run.slots.add(slot)
            run = run.parent

    def extend(self, slot: int, tokens: array[int]) -> None:
        """Add tokens to a row, in cells of its own."""
        end = self._ends[slot]
        if end.slots == {slot}:
            end.tokens += tokens
        else:
            self._ends[slot] = run = _Run(end.end, tokens[:], end, {slot})
            end.children.append(run)
        self.cells += len(tokens)

    def cut(self, slot: int, length: int) -> None:
        """Take from a row all but its first tokens."""
        run = self._ends[slot]
        self._ends[slot] = kept = self._part(run, length)
        # A split put the part that stays between the run and what was before it.
        while run is not kept and run.parent is not None:
            run.slots.discard(slot)
            if not run.slots:
                run.parent.children.remove(run)
                self.cells -= len(run.tokens)
            else:
                self._join(run)
            run = run.parent

    def remove(self, slot: int) -> None:
        """Take a row out."""
        self.cut(slot, 0)
        del self._ends[slot]

    def _part(self, run: _Run, length: int) -> _Run:
        """The run on the path to this one that ends at a length; splits one when it has to."""
        while run.parent is not None and run.start >= length:
            run = run.parent
        if run.parent is None or run.end == length:
            return run
        count = length - run.start
        upper = _Run(run.start, run.tokens[:count], run.parent, set(run.slots), [run])
        siblings = run.parent.children
        siblings[siblings.index(run)] = upper
        run.start, run.tokens, run.parent = length, run.tokens[count:], upper
        return upper

    def _join(self, run: _Run) -> None:
        """Make one of a run and its only child, when the same rows go through both."""
        if run.parent is None or len(run.children) != 1 or run.children[0].slots != run.slots:
            return
        (child,) = run.children
        run.tokens += child.tokens
        run.children = child.children
        for grandchild in run.children:
            grandchild.parent = run
        for slot in run.slots:
            if self._ends[slot] is child:
                self._ends[slot] = run


def common_length(first: array[int], second: array[int]) -> int:
    """How many tokens two rows begin with in common."""
    same, different = 0, min(len(first), len(second))
    if first[:different] == second[:different]:
        return different
    # Slices are compared in C, so halving is faster than looking at one token after another.
    while different - same > 1:
        middle = (same + different) // 2
        if first[same:middle] == second[same:middle]:
            same = middle
        else:
            different = middle
    return same


def _length(match: tuple[int, set[int]]) -> int:
    return match[0]
