from __future__ import annotations

import fcntl
import socket
from collections.abc import Iterator

import pytest

from stoker.descriptor_limit import raise_descriptor_limit
from stoker.errors import BrokenFrameError
from stoker.runner import channel as channel_module
from stoker.runner.channel import Channel, PeerGoneError
from stoker.wire.frames import (
    Cancel,
    FrameReader,
    FromRunner,
    LoadProgress,
    Shutdown,
    encode_frame,
)


@pytest.fixture
def pair() -> Iterator[tuple[Channel, socket.socket]]:
    """A channel, and the supervisor's end."""
    theirs, ours = socket.socketpair()
    with theirs, ours:
        yield Channel(theirs), ours


def test_frames_arrive_and_looking_does_not_wait(pair: tuple[Channel, socket.socket]) -> None:
    """With a time-out of 0 the channel only looks."""
    channel, peer = pair

    assert () == tuple(channel.receive(0))
    peer.sendall(encode_frame(Cancel(1)) + encode_frame(Shutdown()))
    assert [Cancel(1), Shutdown()] == channel.receive(5)


def test_a_peer_that_does_not_read_holds_nothing_up(pair: tuple[Channel, socket.socket]) -> None:
    """What the socket does not take is kept, and arrives when the peer reads."""
    channel, peer = pair
    frame = LoadProgress("x" * 100_000, 0.5)
    for _ in range(20):
        channel.send(frame)

    reader = FrameReader[FromRunner](FromRunner)
    got: list[FromRunner] = []
    while len(got) < 20:
        got += reader.feed(peer.recv(1 << 20))
        channel.receive(0)

    assert [frame] * 20 == got


def test_what_is_kept_is_bounded(
    pair: tuple[Channel, socket.socket], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A supervisor that never reads ends its runner."""
    monkeypatch.setattr(channel_module, "MAX_UNSENT_BYTES", 1_000_000)
    channel, _ = pair
    channel.send(LoadProgress("x" * 900_000, None))

    with pytest.raises(BrokenFrameError, match="does not read"):
        channel.send(LoadProgress("x" * 900_000, None))


def test_a_peer_that_is_gone_is_noticed(pair: tuple[Channel, socket.socket]) -> None:
    """Reading and writing both tell."""
    channel, peer = pair
    peer.close()

    with pytest.raises(PeerGoneError):
        channel.receive(5)
    with pytest.raises(PeerGoneError):
        channel.send(LoadProgress("x", None))


def test_the_last_frames_are_sent_before_the_end(pair: tuple[Channel, socket.socket]) -> None:
    """Finishing flushes, and the peer sees the end."""
    channel, peer = pair
    channel.send(LoadProgress("x", None))
    channel.finish(1.0)

    data = b""
    while chunk := peer.recv(4096):
        data += chunk
    assert [LoadProgress("x", None)] == FrameReader[FromRunner](FromRunner).feed(data)


def test_a_descriptor_may_have_a_large_number() -> None:
    """A server of many clients starts runners too, over sockets with numbers that are left."""
    raise_descriptor_limit()
    ours, theirs = socket.socketpair()
    number = fcntl.fcntl(ours, fcntl.F_DUPFD, 1500)
    with ours, theirs, socket.socket(fileno=number) as high:
        theirs.sendall(encode_frame(Shutdown()))

        assert [Shutdown()] == list(Channel(high).receive(5))
