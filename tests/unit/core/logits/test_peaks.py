"""Where the large logits of a row are."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from hypothesis import given
from hypothesis import strategies as st

from stoker.logits.peaks import _PIECE, Peaks

SIZES = (1, 7, _PIECE - 1, _PIECE, _PIECE + 1, 3 * _PIECE, 9 * _PIECE + 5)


@st.composite
def rows(draw: st.DrawFn) -> npt.NDArray[np.float32]:
    """Rows with and without equal logits."""
    random = np.random.default_rng(draw(st.integers(0, 1000)))
    levels = draw(st.sampled_from([2, 10, 100_000]))
    return random.integers(-levels, levels, draw(st.sampled_from(SIZES))).astype(np.float32)


@given(logits=rows(), quantile=st.floats(0, 1))
def test_above_is_what_comparing_all_gives(
    logits: npt.NDArray[np.float32], quantile: float
) -> None:
    """The places are those that a comparison with every logit finds, in order, equal ones too."""
    floor = np.float32(np.quantile(logits, quantile))

    assert np.flatnonzero(logits >= floor).tolist() == Peaks(logits).above(floor).tolist()


@given(logits=rows(), share=st.floats(0, 1))
def test_so_many_are_above_the_floor(logits: npt.NDArray[np.float32], share: float) -> None:
    """Whatever number of the best logits is wanted, they are not below the floor."""
    count = max(1, round(share * len(logits)))
    found = Peaks(logits).above(Peaks(logits).floor_of(count))

    assert len(found) >= count
    assert min(logits[found]) >= np.delete(logits, found).max(initial=-np.inf)


def test_few_more_are_above_the_floor() -> None:
    """Of a large vocabulary hardly more is looked at than is wanted."""
    logits = np.random.default_rng(1).normal(size=200_000).astype(np.float32)

    assert len(Peaks(logits).above(Peaks(logits).floor_of(40))) < 80
