"""Writes that go out together."""

from __future__ import annotations

import asyncio

import pytest

from stoker_litestar.gathered_writes import GatheringTransport


class _Other(asyncio.Transport):
    """A transport that remembers."""

    def __init__(self) -> None:
        self.done: list[bytes | str] = []
        self.closing = False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.done.append(bytes(data))

    def is_closing(self) -> bool:
        return self.closing

    def close(self) -> None:
        self.closing = True
        self.done.append("closed")

    def abort(self) -> None:
        self.closing = True
        self.done.append("aborted")


async def test_what_one_turn_writes_goes_out_together() -> None:
    """The next turn's goes out by itself, in order."""
    other = _Other()
    transport = GatheringTransport(other)

    transport.write(b"head")
    transport.writelines([b" and", b" body"])
    await asyncio.sleep(0)
    transport.write(b"more")
    await asyncio.sleep(0)

    assert [b"head and body", b"more"] == other.done


async def test_closing_sends_what_waits() -> None:
    """And then nothing is written any more."""
    other = _Other()
    transport = GatheringTransport(other)

    transport.write(b"last")
    transport.close()
    transport.write(b"too late")
    await asyncio.sleep(0)

    assert [b"last", "closed"] == other.done


@pytest.mark.parametrize("gone", [True, False])
async def test_nothing_is_sent_on_a_connection_that_is_gone(gone: bool) -> None:
    """Whether the client left, or the server has had enough of it."""
    other = _Other()
    transport = GatheringTransport(other)

    transport.write(b"nobody reads this")
    if gone:
        other.closing = True
    else:
        transport.abort()
    await asyncio.sleep(0)

    assert ([] if gone else ["aborted"]) == other.done
