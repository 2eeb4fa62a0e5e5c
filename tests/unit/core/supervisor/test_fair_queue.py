"""The queue that is fair between callers."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stoker.supervisor.fair_queue import FairQueue


def _drained(queue: FairQueue[str]) -> list[str]:
    return [queue.pop() for _ in range(len(queue))]


def test_one_caller_is_served_in_order() -> None:
    """First come, first served; a larger priority goes before."""
    queue: FairQueue[str] = FairQueue()
    for item in ("a", "b", "c"):
        queue.push("ann", item)
    queue.push("ann", "urgent", priority=1)

    assert ["urgent", "a", "b", "c"] == _drained(queue)
    with pytest.raises(IndexError):
        queue.pop()


def test_callers_take_turns() -> None:
    """Who asks once does not wait for who asks a hundred times."""
    queue: FairQueue[str] = FairQueue()
    for number in range(100):
        queue.push("greedy", f"greedy {number}")
    queue.pop()
    queue.push("ann", "ann 0")
    queue.push("bob", "bob 0")

    assert {"ann 0", "bob 0"} == {queue.pop(), queue.pop()}


def test_large_requests_count_for_more() -> None:
    """One request for ten answers is as much as ten for one."""
    queue: FairQueue[str] = FairQueue()
    for number in range(10):
        queue.push("large", f"large {number}", cost=10)
        queue.push("small", f"small {number}")

    first = [queue.pop().split()[0] for _ in range(9)]

    assert 1 == Counter(first)["large"]


def test_nobody_saves_up_turns() -> None:
    """A caller that was away does not come before all others for what it did not ask."""
    queue: FairQueue[str] = FairQueue()
    for number in range(50):
        queue.push("ann", f"ann {number}")
    for _ in range(40):
        queue.pop()
    for number in range(10):
        queue.push("bob", f"bob {number}")

    first = Counter(queue.pop().split()[0] for _ in range(10))

    assert 5 == first["ann"]


def test_leaving_and_coming_back_wins_nothing() -> None:
    """A caller with one request at a time has no more turns than one with many."""
    queue: FairQueue[str] = FairQueue()
    for number in range(20):
        queue.push("ann", f"ann {number}")
    served: Counter[str] = Counter()
    queue.push("bob", "bob")
    for _ in range(20):
        caller = queue.pop().split()[0]
        served[caller] += 1
        if caller == "bob":
            queue.push("bob", "bob")

    assert abs(served["ann"] - served["bob"]) <= 1


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["push", "pop", "remove"]),
            st.sampled_from("abc"),
            st.integers(1, 5),
            st.integers(0, 2),
        ),
        max_size=60,
    )
)
def test_the_order_is_what_happens(steps: list[tuple[str, str, int, int]]) -> None:
    """Positions are true: without newcomers the items come out as `order` says, each once."""
    queue: FairQueue[str] = FairQueue()
    inside: dict[str, str] = {}
    for number, (step, caller, cost, priority) in enumerate(steps):
        if step == "push":
            queue.push(caller, str(number), cost=cost, priority=priority)
            inside[str(number)] = caller
        elif inside and step == "pop":
            expected = queue.order()[0]
            assert expected == queue.pop()
            del inside[expected]
        elif inside:
            item, owner = next(iter(inside.items()))
            queue.remove(owner, item)
            del inside[item]
        assert set(inside) == set(queue.order())
        assert len(inside) == len(queue)

    assert list(queue.order()) == _drained(queue)
