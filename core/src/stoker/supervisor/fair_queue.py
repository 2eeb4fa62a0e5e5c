"""A queue that is fair between callers, whoever asks how often.

Start-time fair queueing: each caller has a lane with a virtual time, which advances by the cost of
what it was served, and the lane that is furthest behind is served next. A caller that comes back
begins at the present, so nobody saves up turns. With one caller it is first come, first served.
https://ieeexplore.ieee.org/document/649569
"""

from __future__ import annotations

from typing import Generic, TypeVar

import attrs

ItemT = TypeVar("ItemT")


@attrs.frozen
class _Entry(Generic[ItemT]):
    item: ItemT
    cost: int
    priority: int
    arrival: int


@attrs.define
class _Lane(Generic[ItemT]):
    """What one caller waits for, in its own order: by priority, then by arrival."""

    time: float
    entries: list[_Entry[ItemT]] = attrs.field(factory=list)


class FairQueue(Generic[ItemT]):
    """Items, which are hashable, by caller. Not bounded: whoever pushes looks at the length."""

    def __init__(self) -> None:
        self._lanes: dict[str, _Lane[ItemT]] = {}
        self._ahead: dict[str, float] = {}
        """Virtual times of callers that wait for nothing now and have had more than others."""
        self._now = 0.0
        self._arrivals = 0
        self._size = 0
        self._order: tuple[ItemT, ...] | None = ()

    def __len__(self) -> int:
        return self._size

    def push(self, caller: str, item: ItemT, *, cost: int = 1, priority: int = 0) -> None:
        """Add an item.

        Args:
            caller: Whose it is.
            item: The item.
            cost: How much of a turn it takes, at least 1.
            priority: A larger one goes before the same caller's others.
        """
        lane = self._lanes.get(caller)
        if lane is None:
            lane = _Lane(max(self._now, self._ahead.pop(caller, 0.0)))
            self._lanes[caller] = lane
        self._arrivals += 1
        lane.entries.append(_Entry(item, cost, priority, self._arrivals))
        lane.entries.sort(key=lambda entry: (-entry.priority, entry.arrival))
        self._size += 1
        self._order = None

    def pop(self) -> ItemT:
        """Remove and return the item whose turn it is.

        Raises:
            IndexError: There is none.
        """
        if not self._lanes:
            raise IndexError("the queue is empty")
        caller, lane = min(self._lanes.items(), key=lambda found: _turn(found[1]))
        entry = lane.entries.pop(0)
        self._now = lane.time
        lane.time += entry.cost
        self._size -= 1
        self._order = None
        self._tidy(caller, lane)
        return entry.item

    def remove(self, caller: str, item: ItemT) -> None:
        """Take an item out that nobody waits for any more; its caller is not charged for it."""
        lane = self._lanes.get(caller)
        if lane is None:
            return
        left = [entry for entry in lane.entries if entry.item != item]
        self._size -= len(lane.entries) - len(left)
        lane.entries = left
        self._order = None
        self._tidy(caller, lane)

    def order(self) -> tuple[ItemT, ...]:
        """All items in the order of their turns, as things stand now."""
        if self._order is None:
            turns: list[tuple[float, int, ItemT]] = []
            for lane in self._lanes.values():
                time = lane.time
                for entry in lane.entries:
                    turns.append((time, entry.arrival, entry.item))
                    time += entry.cost
            turns.sort(key=lambda turn: turn[:2])
            self._order = tuple(item for _, _, item in turns)
        return self._order

    def _tidy(self, caller: str, lane: _Lane[ItemT]) -> None:
        if not lane.entries:
            del self._lanes[caller]
            self._ahead[caller] = lane.time
        if not self._lanes:
            # Nobody waits, so nobody is behind.
            self._ahead.clear()
        elif len(self._ahead) > len(self._lanes):
            self._ahead = {name: at for name, at in self._ahead.items() if at > self._now}


def _turn(lane: _Lane[ItemT]) -> tuple[float, int]:
    return lane.time, lane.entries[0].arrival
