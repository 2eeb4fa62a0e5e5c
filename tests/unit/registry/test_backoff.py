"""Tests of `stoker_registry.backoff`."""

from __future__ import annotations

import pytest

from stoker.errors import TransferError
from stoker_registry.backoff import Backoff, TransientTransferError, no_heartbeat


def test_success_is_returned_at_once() -> None:
    """What works is called once."""
    calls = iter([7])

    assert 7 == Backoff().run(lambda: next(calls), no_heartbeat)


def test_delays_double_up_to_a_limit() -> None:
    """Every delay is half chance, twice the last one, and none is longer than the limit."""
    backoff = Backoff(first_delay_s=1, max_delay_s=3)
    error = TransientTransferError("down")

    for failures, longest_s in ((1, 1), (2, 2), (3, 3), (9, 3)):
        waits_s = {backoff.wait_s(failures, error) for _ in range(50)}
        assert longest_s / 2 <= min(waits_s) < max(waits_s) <= longest_s


def test_a_registry_is_not_asked_before_it_wants() -> None:
    """`Retry-After` is kept, within the limit."""
    backoff = Backoff(max_delay_s=30)

    assert 7 <= backoff.wait_s(1, TransientTransferError("", retry_after_s=7)) <= 8
    assert 30 == backoff.wait_s(1, TransientTransferError("", retry_after_s=600))


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
