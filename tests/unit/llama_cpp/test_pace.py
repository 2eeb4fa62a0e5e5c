"""How much of a prompt a step reads."""

from __future__ import annotations

import pytest

from stoker_llama_cpp.pace import BESIDE_ANSWERS_S, LEAST_TOKENS, Pace


def test_the_limit_is_a_time() -> None:
    """A machine that reads 1000 tokens a second gets what it reads in the time limit."""
    pace = Pace()
    pace.observe(100, 0.1)

    assert pytest.approx(1000 * BESIDE_ANSWERS_S, abs=1) == pace.prompt_tokens()


def test_slow_machines_get_on() -> None:
    """However slow the machine is, a step reads something."""
    pace = Pace()
    pace.observe(LEAST_TOKENS, 1000.0)

    assert LEAST_TOKENS == pace.prompt_tokens()


def test_it_learns_anew() -> None:
    """When the machine becomes faster, steps soon read more."""
    pace = Pace()
    pace.observe(100, 10.0)
    before = pace.prompt_tokens()
    for _ in range(20):
        pace.observe(100, 0.1)

    assert pace.prompt_tokens() > 5 * before


def test_small_reads_tell_nothing() -> None:
    """A step that read few tokens was spent on something else."""
    pace = Pace()
    before = pace.prompt_tokens()
    pace.observe(1, 5.0)

    assert before == pace.prompt_tokens()
