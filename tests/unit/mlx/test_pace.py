"""How large a read may be."""

from __future__ import annotations

import pytest

from stoker_mlx.pace import LEAST_TOKENS, LONGEST_READ_S, Pace


def reads(pace: Pace, token_s: float, *, beside: bool) -> list[int]:
    """The sizes of reads on a machine that takes so long for a token."""
    sizes = []
    for _ in range(40):
        size = pace.tokens(beside=beside)
        sizes.append(size)
        pace.read(size, size * token_s, beside=beside)
    return sizes


@pytest.mark.parametrize("token_s", [1e-5, 1e-3, 1e-2, 0.2])
def test_reads_take_about_the_time_that_they_should(token_s: float) -> None:
    """Alone they grow or shrink until one takes a part of a second, or is as large as can be."""
    pace = Pace(512)
    size = reads(pace, token_s, beside=False)[-1]

    assert size in {512, LEAST_TOKENS} or size * token_s <= LONGEST_READ_S
    assert size == 512 or token_s >= 1e-3


def test_reads_settle() -> None:
    """A steady machine has steady sizes, so the same prompt is split the same way."""
    assert 1 == len(set(reads(Pace(512), 1e-3, beside=False)[10:]))


def test_answers_are_not_held_up() -> None:
    """Beside answers a read takes less than a step of theirs."""
    pace = Pace(512)
    for _ in range(5):
        pace.answered(0.1)
    size = reads(pace, 2e-3, beside=True)[-1]

    assert size * 2e-3 <= 0.1


def test_one_step_that_hung_changes_little() -> None:
    """A step that something else held up does not let reads grow for long."""
    pace = Pace(512)
    for _ in range(20):
        pace.answered(0.02)
    pace.answered(60)

    assert reads(pace, 2e-3, beside=True)[-1] * 2e-3 <= 0.04


def test_the_last_piece_says_nothing() -> None:
    """A piece that was small because the prompt ended does not change the size."""
    pace = Pace(512)
    size = pace.tokens(beside=False)
    pace.read(1, 10.0, beside=False)

    assert size == pace.tokens(beside=False)
