"""Log probabilities."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stoker.logits.logprobs import with_logprobs


@given(
    logits=st.lists(st.floats(-40, 40, width=32), min_size=1, max_size=50),
    count=st.integers(0, 20),
    data=st.data(),
)
def test_values_are_the_log_of_softmax(
    logits: list[float], count: int, data: st.DataObject
) -> None:
    """The token's own and the best ones' values are those of a plain log-softmax."""
    token = data.draw(st.integers(0, len(logits) - 1))
    exact = np.array(logits, dtype=np.float64)
    expected = exact - np.log(np.exp(exact).sum())
    sampled = with_logprobs(np.array(logits, dtype=np.float32), token, count)

    assert token == sampled.id
    assert pytest.approx(expected[token], abs=1e-4) == sampled.logprob
    assert pytest.approx(np.sort(expected)[::-1][:count], abs=1e-4) == [
        value for _, value in sampled.top
    ]
    assert len({item for item, _ in sampled.top}) == min(count, len(logits))


def test_all_probabilities_add_up() -> None:
    """The probabilities of the whole vocabulary have the sum 1."""
    logits = np.random.default_rng(1).normal(0, 5, 15).astype(np.float32)
    top = with_logprobs(logits, 0, 15).top

    assert pytest.approx(1, abs=1e-5) == sum(np.exp(value) for _, value in top)


def test_large_logits_do_not_overflow() -> None:
    """Logits whose exponentials leave the range of floats give finite values."""
    sampled = with_logprobs(np.array([1000.0, 999.0, -1000.0], dtype=np.float32), 0, 2)

    assert pytest.approx(-0.3132617, abs=1e-5) == sampled.logprob
    assert [0, 1] == [token for token, _ in sampled.top]
