from __future__ import annotations

import pytest

from stoker.errors import InvalidInputError
from stoker.memory.size import memory_text, parse_size


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("12 GiB", 12 * 1024**3),
        ("0.5gib", 1024**3 // 2),
        ("800MB", 800_000_000),
        ("1000", 1000),
        (" 2 kib ", 2048),
    ],
)
def test_amounts_are_read(text: str, expected: int) -> None:
    """Binary and decimal units, with and without a space, in any case."""

    assert expected == parse_size(text)


@pytest.mark.parametrize("text", ["", "GiB", "-1 GiB", "12 GiBi", "a lot", "1 2 GB"])
def test_what_is_no_amount_is_refused(text: str) -> None:
    """The error says how to write one."""

    with pytest.raises(InvalidInputError, match="12 GiB"):
        parse_size(text)


@pytest.mark.parametrize(
    ("size_bytes", "expected"),
    [
        (0, "0 B"),
        (1023, "1023 B"),
        (1024, "1 KiB"),
        (300 * 1024**2, "300 MiB"),
        (1.5 * 2**30, "1.5 GiB"),
    ],
)
def test_amounts_are_shown(size_bytes: float, expected: str) -> None:
    """In the unit that gives short numbers."""

    assert expected == memory_text(size_bytes)
