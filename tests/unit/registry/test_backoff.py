"""Tests of `stoker_registry.backoff`."""

from __future__ import annotations

import itertools
import time

import pytest

from stoker.errors import TransferError
from stoker_registry.backoff import Backoff, TransientTransferError, no_heartbeat


def test_success_is_returned_at_once() -> None:
    """What works is called once."""
    calls = iter([7])

    assert 7 == Backoff().run(lambda: next(calls), no_heartbeat)


def test_delays_double_up_to_a_limit() -> None:
    """Every delay is twice the last one, and none is longer than the limit."""
    calls: list[float] = []

    def fail() -> None:
        calls.append(time.monotonic())
        raise TransientTransferError("down")

    with pytest.raises(TransientTransferError):
        Backoff(attempts=4, first_delay_s=0.05, max_delay_s=0.1).run(fail, no_heartbeat)
    delays = [later - earlier for earlier, later in itertools.pairwise(calls)]
    assert [True, True, True] == [
        least_s <= delay for least_s, delay in zip((0.05, 0.1, 0.1), delays, strict=True)
    ]
    assert calls[-1] - calls[0] < 10


def test_other_failures_end_it() -> None:
    """Only what may pass is tried again."""
    calls: list[int] = []

    def fail() -> None:
        calls.append(1)
        raise TransferError("refused")

    with pytest.raises(TransferError):
        Backoff().run(fail, no_heartbeat)
    assert [1] == calls


def test_the_heartbeat_goes_on_while_waiting() -> None:
    """Whoever waits is told so again and again."""
    beats: list[int] = []

    def fail() -> None:
        raise TransientTransferError("down", retry_after_s=0.35)

    with pytest.raises(TransientTransferError):
        Backoff(attempts=2).run(fail, lambda: beats.append(1))
    assert len(beats) >= 3
