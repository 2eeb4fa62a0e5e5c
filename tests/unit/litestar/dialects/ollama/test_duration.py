"""Durations."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stoker.errors import InvalidRequestError
from stoker_litestar.dialects.ollama.duration import keep_alive_s, nanoseconds


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        (None, None),
        (0, 0),
        (90, 90),
        (1.5, 1.5),
        ("0", 0),
        ("300", 300),
        ("5m", 300),
        ("1h30m", 5400),
        ("1.5s", 1.5),
        ("250ms", 0.25),
        ("2\u00b5s", 2e-6),
        ("+2s", 2),
        (-1, math.inf),
        ("-1", math.inf),
        ("-1m", math.inf),
    ],
)
def test_durations(value: float | str | None, seconds: float | None) -> None:
    """Numbers are seconds, texts have Go's units, negative ones have no end."""
    assert seconds == keep_alive_s(value)


@pytest.mark.parametrize("value", ["", "m", "5 m", "5x", "1e3", "nan", "--1s", "\u0661s"])
def test_other_texts_are_refused(value: str) -> None:
    """What is no duration is an error that names the field."""
    with pytest.raises(InvalidRequestError) as caught:
        keep_alive_s(value)
    assert "keep_alive" == caught.value.param


@given(st.text(max_size=20))
def test_any_text_is_read_or_refused(text: str) -> None:
    """There is no text that breaks it."""
    try:
        found = keep_alive_s(text)
    except InvalidRequestError:
        return
    assert found is not None
    assert found >= 0


def test_nanoseconds_are_whole() -> None:
    """As Go counts them."""
    assert 1_500_000_000 == nanoseconds(1.5)
