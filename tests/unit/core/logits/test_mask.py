"""Masks, against sets."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stoker.errors import InvalidRequestError
from stoker.logits.mask import Mask

SIZE = 77
TOKENS = st.sets(st.integers(0, SIZE - 1))
LOGITS = st.lists(st.sampled_from([-np.inf, -1.5, 0.0, 2.0, 2.5]), min_size=SIZE, max_size=SIZE)


def make(allowed: set[int], size: int = SIZE) -> Mask:
    """A mask with the bits beyond the vocabulary set, which mean nothing."""
    words = -(-size // 32)
    bits = sum(1 << token for token in {*allowed, *range(size, words * 32)})
    return Mask(bits.to_bytes(words * 4, "little"), vocabulary_size=size)


@given(TOKENS.filter(len), LOGITS)
def test_the_best_allowed_token(allowed: set[int], values: list[float]) -> None:
    """It has the best logit of the allowed ones, and of equal ones the smallest id."""
    logits = np.array(values, dtype=np.float32)
    best = make(allowed).best(logits)
    finite = [token for token in allowed if np.isfinite(logits[token])]

    if finite:
        assert max(logits[token] for token in finite) == logits[best]
        assert min(token for token in finite if logits[token] == logits[best]) == best


@pytest.mark.parametrize("count", [1, 60, 70, 900, 1000])
def test_what_is_chosen_from(count: int) -> None:
    """Few allowed tokens come by themselves, many with the others ruled out: the logits agree."""
    allowed = np.sort(np.random.default_rng(count).permutation(1000)[:count])
    logits = np.arange(1000, dtype=np.float32)
    among, tokens = make(set(allowed.tolist()), 1000).among(logits)
    places = np.flatnonzero(among > -np.inf)

    assert allowed.tolist() == (places if tokens is None else tokens[places]).tolist()
    assert allowed.tolist() == among[places].tolist()
    assert (count > 62) is (tokens is None)


def test_an_empty_mask_has_no_best() -> None:
    """An answer that cannot go on is an error and not some token."""
    with pytest.raises(InvalidRequestError, match="allows no token"):
        make(set()).best(np.zeros(SIZE, dtype=np.float32))
