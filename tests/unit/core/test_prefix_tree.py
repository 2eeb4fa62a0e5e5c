"""The tree of tokens and cells."""

from __future__ import annotations

from array import array

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from stoker.prefix_tree import ROOT_SLOT, PrefixTree, common_length

tokens = st.lists(st.integers(0, 1), max_size=6)


@given(common=tokens, first=tokens, second=tokens)
def test_common_length(common: list[int], first: list[int], second: list[int]) -> None:
    """It is the number of tokens before the first different one, or before an end."""
    left, right = common + first, common + second
    expected = next(
        (i for i, pair in enumerate(zip(left, right, strict=False)) if pair[0] != pair[1]),
        min(len(left), len(right)),
    )

    assert expected == common_length(array("i", left), array("i", right))


def test_rows_share_cells() -> None:
    """Rows that begin with another's tokens count these once."""
    tree = PrefixTree()
    tree.start(0, ROOT_SLOT, 0)
    tree.extend(0, array("i", range(10)))
    tree.start(1, 0, 6)
    tree.extend(1, array("i", [99]))

    assert 11 == tree.cells
    assert [*range(6), 99] == tree.tokens(1).tolist()
    assert [4, 1] == [tree.own(0), tree.own(1)]
    assert 11 == tree.cells_of({0: 10, 1: 7})
    assert 8 == tree.cells_of({0: 7, 1: 7})


def test_equal_tokens_in_other_cells_count() -> None:
    """Rows that were computed side by side share nothing, and both are found."""
    tree = PrefixTree()
    for slot in (0, 1):
        tree.start(slot, ROOT_SLOT, 0)
        tree.extend(slot, array("i", [1, 2, 3]))

    assert 6 == tree.cells
    assert [(2, {0}), (2, {1})] == sorted(tree.matches(array("i", [1, 2, 4])), key=str)


@pytest.mark.parametrize("rows", [1, 30])
def test_rows_leave_nothing_behind(rows: int) -> None:
    """A tree whose rows have come and gone is as it was before."""
    tree = PrefixTree()
    tree.start(0, ROOT_SLOT, 0)
    tree.extend(0, array("i", range(100)))
    for slot in range(1, rows):
        tree.start(slot, 0, 3 * slot)
        tree.extend(slot, array("i", [slot]))
    for slot in range(1, rows):
        tree.remove(slot)

    assert 100 == tree.cells
    assert 100 == tree.own(0)
    assert [(100, {0})] == tree.matches(array("i", range(100)))


class TreeMachine(RuleBasedStateMachine):
    """Compares the tree with rows of (token, cell) pairs, which are cut and copied as they are."""

    def __init__(self) -> None:
        super().__init__()
        self.tree = PrefixTree()
        self.rows: dict[int, list[tuple[int, int]]] = {}
        self.slots = 0
        self.cells = 0

    def slot(self, number: int) -> int:
        return sorted(self.rows)[number % len(self.rows)]

    @rule(number=st.integers(0), length=st.integers(0, 30))
    def start(self, number: int, length: int) -> None:
        if self.rows:
            source = self.slot(number)
            length = min(length, len(self.rows[source]))
            row = self.rows[source][:length]
        else:
            source, length, row = ROOT_SLOT, 0, []
        self.tree.start(self.slots, source, length)
        self.rows[self.slots] = row
        self.slots += 1

    @precondition(lambda self: self.rows)
    @rule(number=st.integers(0), added=tokens)
    def extend(self, number: int, added: list[int]) -> None:
        if added:
            slot = self.slot(number)
            self.tree.extend(slot, array("i", added))
            self.rows[slot] += [(token, self.cells + i) for i, token in enumerate(added)]
            self.cells += len(added)

    @precondition(lambda self: self.rows)
    @rule(number=st.integers(0), length=st.integers(0, 30))
    def cut(self, number: int, length: int) -> None:
        slot = self.slot(number)
        length = min(length, len(self.rows[slot]))
        self.tree.cut(slot, length)
        del self.rows[slot][length:]

    @precondition(lambda self: self.rows)
    @rule(number=st.integers(0))
    def remove(self, number: int) -> None:
        slot = self.slot(number)
        self.tree.remove(slot)
        del self.rows[slot]

    @precondition(lambda self: self.rows)
    @rule(wanted=tokens)
    def find(self, wanted: list[int]) -> None:
        expected = {
            slot: common_length(array("i", wanted), array("i", [token for token, _ in row]))
            for slot, row in self.rows.items()
        }
        found = self.tree.matches(array("i", wanted))
        assert sorted((length for length, _ in found), reverse=True) == [item[0] for item in found]
        best = {slot: length for length, slots in reversed(found) for slot in slots}
        assert {slot: length for slot, length in expected.items() if length} == best

    @invariant()
    def agrees(self) -> None:
        cells = [cell for row in self.rows.values() for _, cell in row]
        assert len(set(cells)) == self.tree.cells
        for slot, row in self.rows.items():
            assert [token for token, _ in row] == self.tree.tokens(slot).tolist()
            assert len(row) == self.tree.length(slot)
            own = {cell for _, cell in row if cells.count(cell) == 1}
            assert len(own) == self.tree.own(slot)
        halves = {slot: len(row) // 2 for slot, row in self.rows.items()}
        counted = {cell for slot, row in self.rows.items() for _, cell in row[: halves[slot]]}
        assert len(counted) == self.tree.cells_of(halves)

    @invariant()
    def is_compact(self) -> None:
        runs = list(self.tree._ends[ROOT_SLOT].children)
        while runs:
            run = runs.pop()
            assert run.slots
            assert run.tokens
            assert [run.slots] != [child.slots for child in run.children]
            assert all(child.parent is run and child.start == run.end for child in run.children)
            runs += run.children


TestTree = TreeMachine.TestCase
