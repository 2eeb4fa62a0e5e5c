"""The outbox."""

from __future__ import annotations

import asyncio

import pytest

from stoker_litestar.outbox import MAX_WAITING_BYTES, Outbox


async def test_what_was_put_is_taken_at_once() -> None:
    """Pieces come out joined and in order."""
    outbox = Outbox()
    outbox.put(b"a")
    outbox.put(b"")
    outbox.put(b"b")

    await outbox.news()

    assert b"ab" == outbox.take()
    assert b"" == outbox.take()


async def test_there_is_room_until_too_much_waits() -> None:
    """Whoever puts more than may wait is held until it was taken."""
    outbox = Outbox()
    outbox.put(b"x" * MAX_WAITING_BYTES)
    await outbox.room()
    outbox.put(b"x")
    held = asyncio.create_task(outbox.room())
    await asyncio.sleep(0)
    assert not held.done()

    outbox.take()

    await asyncio.wait_for(held, 1)


@pytest.mark.parametrize("change", ["stream", "close", "abandon"])
async def test_changes_are_news(change: str) -> None:
    """The taker wakes for everything that it has to know."""
    outbox = Outbox()
    taker = asyncio.create_task(outbox.news())
    await asyncio.sleep(0)
    assert not taker.done()

    getattr(outbox, change)()

    await asyncio.wait_for(taker, 1)
