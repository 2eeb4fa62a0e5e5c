"""Tests of `stoker_registry.pace`."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from stoker_registry.backoff import TransientTransferError
from stoker_registry.pace import MIN_BYTES_PER_S, Pace


class Clock:
    """A clock that a test moves."""

    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        """The time."""
        return self.now_s

    def sender(self, data: bytes, wait_s: float) -> Callable[[], bytes]:
        """A read that takes so long."""

        def read() -> bytes:
            self.now_s += wait_s
            return data

        return read


def test_a_trickle_is_given_up() -> None:
    """One byte now and then is not worth waiting for."""
    clock = Clock()
    pace = Pace("reg.example", 10.0, now_s=clock)
    for _ in range(9):
        assert b"x" == pace.read(clock.sender(b"x", 1.0))

    with pytest.raises(TransientTransferError, match=r"reg\.example sent 10 bytes in 10 s"):
        pace.read(clock.sender(b"x", 1.0))


def test_a_slow_line_is_waited_for() -> None:
    """Whatever comes at the least pace goes on for as long as it takes."""
    clock = Clock()
    pace = Pace("reg.example", 10.0, now_s=clock)
    for _ in range(1000):
        pace.read(clock.sender(bytes(MIN_BYTES_PER_S), 1.0))
    assert 1000.0 == clock.now_s


def test_only_waiting_counts() -> None:
    """What happens between two reads is not the registry's doing, and neither is the end."""
    clock = Clock()
    pace = Pace("reg.example", 10.0, now_s=clock)
    for _ in range(100):
        pace.read(clock.sender(b"x", 0.0))
        clock.now_s += 100.0
    assert b"" == pace.read(clock.sender(b"", 20.0))


def test_small_bodies_are_bounded_in_size_and_time() -> None:
    """What is read whole is read to its end or the bound, and no trickle goes on for ever."""
    clock = Clock()
    pace = Pace("reg.example", 10.0, now_s=clock)
    pieces = iter([b"ab", b"c", b""])
    assert b"abc" == pace.read_all(lambda _size: next(pieces), limit_bytes=10)
    assert bytes(10) == pace.read_all(bytes, limit_bytes=10)

    with pytest.raises(TransientTransferError):
        pace.read_all(lambda _size: clock.sender(b"x", 1.0)(), limit_bytes=100)
