from __future__ import annotations

from typing import Any
from unittest.mock import sentinel

import attrs
import pytest

from stoker.estimate import DeviceNeed
from stoker.supervisor.eviction import choose_victims, fits, in_order, used_bytes
from stoker.supervisor.request_queue import RequestQueue
from stoker.supervisor.resident import Resident

NOW_S = 1000.0


@pytest.fixture
def make(make_plan: Any) -> Any:
    """Makes residents that are loaded and idle."""

    def resident(
        name: str,
        *,
        need: int = 10,
        idle_s: float = 10,
        loading_s: float = 1,
        users: int = 0,
        **options: Any,
    ) -> Resident:
        plan = make_plan(name, name=f"test/{name}", need_bytes=need, budget_bytes=30, **options)
        made = Resident(plan, RequestQueue("m", max_waiting=1, wait_timeout_s=1), users=users)
        made.holds_memory = True
        made.runner = sentinel.runner
        made.idle_since_s, made.loading_s = NOW_S - idle_s, loading_s
        return made

    return resident


def _names(residents: list[Resident] | None) -> list[str] | None:
    return None if residents is None else [item.name.removeprefix("test/") for item in residents]


def test_the_order(make: Any) -> None:
    """Priority first, then idle time for each second that loading again costs."""
    residents = [
        make("important", priority=1, idle_s=900),
        make("recent", idle_s=1),
        make("old", idle_s=100),
        make("old-but-slow", idle_s=100, loading_s=60),
        make("unimportant", priority=-1, idle_s=0),
    ]

    assert ["unimportant", "old", "old-but-slow", "recent", "important"] == _names(
        in_order(residents, NOW_S)
    )


def test_busy_and_pinned_models_stay(make: Any) -> None:
    """What is used, pinned, or not loaded yet is no victim."""
    loading = make("loading")
    loading.runner = None
    residents = [make("busy", users=1), make("pinned", pin=True), loading]

    assert [] == in_order(residents, NOW_S)
    assert choose_victims(make("new"), residents, NOW_S) is None


def test_no_more_go_than_must(make: Any) -> None:
    """When the last victim alone makes the room, those before it are spared."""
    small, large = make("small", idle_s=100), make("large", need=20, idle_s=1)

    assert ["large"] == _names(choose_victims(make("new", need=20), [small, large], NOW_S))
    assert ["small"] == _names(choose_victims(make("new"), [small, large], NOW_S))


def test_nobody_goes_in_vain(make: Any) -> None:
    """When even all idle ones would not be enough, none is evicted."""
    residents = [make("idle"), make("busy", need=20, users=1)]

    assert choose_victims(make("new", need=20), residents, NOW_S) is None


def test_those_that_leave_already_are_waited_for(make: Any) -> None:
    """Memory that is being freed makes more victims needless."""
    leaving, idle = make("leaving", need=20), make("idle")
    leaving.unloading = True

    assert [] == choose_victims(make("new", need=20), [leaving, idle], NOW_S)
    assert not fits(make("new", need=20), [leaving, idle])


def test_mapped_files_count_once(make: Any) -> None:
    """Two runners that map the same weights share them."""
    first, second = make("same"), make("same")
    for resident in (first, second):
        needs = (DeviceNeed(mapped_bytes=100, cache_bytes=7),)
        resident.plan = attrs.evolve(
            resident.plan, memory=attrs.evolve(resident.plan.memory, needs=needs)
        )

    assert {"host": 114} == used_bytes([first, second])
