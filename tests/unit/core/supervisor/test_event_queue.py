from __future__ import annotations

import asyncio

from stoker.errors import StokerError
from stoker.events import Failed, Finished, TextDelta, Usage
from stoker.supervisor.event_queue import MAX_WAITING, EventQueue

END = Finished(Usage(0, 0))


async def test_events_come_out_in_order_and_end() -> None:
    """Reading waits for events, and ends after the last one."""
    queue = EventQueue()

    async def fill() -> None:
        for text in "abc":
            await asyncio.sleep(0)
            queue.put(TextDelta(text))
        queue.put(END)

    filling = asyncio.create_task(fill())
    events = [event async for event in queue.read()]

    await filling
    assert [TextDelta("a"), TextDelta("b"), TextDelta("c"), END] == events


async def test_a_full_queue_takes_only_a_last_event() -> None:
    """What waits is bounded, but the end always gets through."""
    queue = EventQueue()
    for _ in range(MAX_WAITING):
        assert queue.put(TextDelta("x"))

    assert not queue.put(TextDelta("x"))
    assert queue.put(END)
    assert END == [event async for event in queue.read()][-1]


async def test_nothing_follows_the_last_event() -> None:
    """A failure that comes after the end is dropped."""
    queue = EventQueue()
    queue.put(END)
    queue.put(Failed(StokerError("late")))

    assert [END] == [event async for event in queue.read()]
