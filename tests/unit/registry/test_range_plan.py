"""Tests of how many connections a download wants, and how long their ranges are."""

from __future__ import annotations

from stoker_registry.range_plan import RangePlan

MIB = 1024**2


def plan(max_connections: int = 8) -> RangePlan:
    """A new plan."""
    return RangePlan(max_connections=max_connections, min_range_bytes=4 * MIB)


def note(learning: RangePlan, waited_s: float, *, is_hash_behind: bool = False) -> int:
    """Note a second of which so much was waited; returns how many connections there should be."""
    before = learning.connections
    are_more = learning.note_wait(waited_s, 1.0, is_hash_behind=is_hash_behind)
    assert are_more == (learning.connections > before)
    return learning.connections


def test_connections_that_wait_are_joined_by_more() -> None:
    """Their number doubles while they wait for most of their time, up to what is allowed."""
    learning = plan(6)

    assert [2, 4, 6, 6] == [note(learning, 0.9) for _ in range(4)]


def test_a_connection_that_is_busy_stays_alone() -> None:
    """Where the processor is what limits, a second one would only take its time."""
    learning = plan()

    assert [1] * 5 == [note(learning, 0.4) for _ in range(5)]


def test_a_single_wait_tells_nothing() -> None:
    """Short notes are added up before anything follows from them."""
    learning = plan()
    for _ in range(2):
        assert not learning.note_wait(0.01, 0.01, is_hash_behind=False)
    for _ in range(4):
        assert not learning.note_wait(0.0, 0.01, is_hash_behind=False)

    assert 1 == learning.connections


def test_connections_become_fewer_when_hashing_is_behind() -> None:
    """When that lasts, one after the other goes, however much they wait, and one remains."""
    learning = plan(4)

    assert [2, 4] == [note(learning, 1.0) for _ in range(2)]
    assert [3, 2, 1, 1] == [note(learning, 1.0, is_hash_behind=True) for _ in range(4)]


def test_hashing_that_is_behind_for_a_moment_changes_nothing() -> None:
    """It catches up wherever a range ends."""
    learning = plan(2)
    note(learning, 1.0)
    for _ in range(10):
        learning.note_wait(0.3, 0.3, is_hash_behind=True)
        learning.note_wait(0.1, 0.1, is_hash_behind=False)

    assert 2 == learning.connections


def test_ranges_are_shorter_at_the_end() -> None:
    """The last ones are shared out, in whole blocks, but none is too short to be worth it."""
    learning = plan()

    assert 8 * MIB == learning.range_bytes(1000 * MIB)
    assert 6 * MIB == learning.range_bytes(13 * MIB)
    assert 4 * MIB == learning.range_bytes(1)


def test_ranges_fit_the_wait_for_an_answer() -> None:
    """A wait of 50 ms is worth a second of transfer; a short answer says nothing."""
    learning = plan()
    for _ in range(20):
        learning.note_range(0.05, 1.0, 20 * MIB)
    learned = learning.range_bytes(1000 * MIB)
    learning.note_range(0.5, 1.0, 1000)

    assert 19 * MIB <= learned <= 20 * MIB
    assert learned == learning.range_bytes(1000 * MIB)
