"""Tests of the cap on bandwidth."""

from __future__ import annotations

import pytest

from stoker_registry.bandwidth import Throttle, parse_bandwidth


@pytest.mark.parametrize(
    ("text", "rate"),
    [("20 MB/s", 20e6), ("500 kB", 5e5), ("1.5GiB/s", 1.5 * 1024**3), (" 100B/s ", 100)],
)
def test_bandwidths(text: str, rate: float) -> None:
    """Decimal and binary units are read, with or without the time."""
    assert rate == parse_bandwidth(text)


@pytest.mark.parametrize("text", ["", "20", "0 MB/s", "-1 MB", "20 Mbit/s", "1e9 B", "20 KB"])
def test_what_is_no_bandwidth(text: str) -> None:
    """Bits, bare numbers and nothing are refused with an example."""
    with pytest.raises(ValueError, match="20 MB/s"):
        parse_bandwidth(text)


def test_all_who_share_a_throttle_wait_for_it() -> None:
    """Each byte takes its time, whoever takes it."""
    throttle = Throttle(1000)
    waits: list[float] = []

    for _ in range(4):
        throttle.take(500, waits.append)

    assert [0.5, 1.0, 1.5, 2.0] == [round(wait, 1) for wait in waits]


def test_no_cap_is_no_wait() -> None:
    """Without a cap nobody waits."""
    Throttle(None).take(10**12, lambda _s: pytest.fail("waited"))
