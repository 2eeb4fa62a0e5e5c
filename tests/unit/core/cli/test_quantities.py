"""Sizes and times for people."""

from __future__ import annotations

import pytest

from stoker.cli.quantities import age_text, duration_text, size_text


@pytest.mark.parametrize(
    ("size_bytes", "text"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1000, "1.0 kB"),
        (98_362_432, "98.4 MB"),
        (999_949, "999.9 kB"),
        (999_999, "1.0 MB"),
        (7_000_000_000, "7.0 GB"),
        (2_500_000_000_000, "2.5 TB"),
        (5_000_000_000_000_000, "5000.0 TB"),
    ],
)
def test_sizes(size_bytes: int, text: str) -> None:
    """Units are decimal, with one digit after the point."""

    assert text == size_text(size_bytes)


@pytest.mark.parametrize(
    ("duration_s", "text"),
    [
        (-5, "0 seconds"),
        (1.9, "1 second"),
        (59, "59 seconds"),
        (60, "1 minute"),
        (7199, "1 hour"),
        (200_000, "2 days"),
    ],
)
def test_durations(duration_s: float, text: str) -> None:
    """A duration is given in its largest whole unit."""

    assert text == duration_text(duration_s)


def test_ages() -> None:
    """An age is relative to now; what was never stored has none."""

    assert "3 minutes ago" == age_text(1000.0, 1190.0)
    assert "-" == age_text(None, 1190.0)
