from __future__ import annotations

from typing import Any

import pytest

from stoker.errors import InvalidRequestError
from stoker.sampling import DEFAULT_SAMPLING, SamplingParams


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("temperature", -0.1),
        ("temperature", float("nan")),
        ("repetition_penalty", float("inf")),
        ("top_p", 0.0),
        ("top_p", 1.1),
        ("min_p", -1.0),
        ("top_k", -1),
        ("repetition_penalty", 0.0),
        ("presence_penalty", 2.1),
        ("frequency_penalty", -2.1),
        ("logprobs", 21),
    ],
)
def test_values_out_of_range_name_their_field(field: str, value: Any) -> None:
    """A value out of range is refused with the field's name."""

    with pytest.raises(InvalidRequestError, match=field) as caught:
        SamplingParams(**{field: value})

    assert field == caught.value.param


def test_unset_values_come_from_the_defaults() -> None:
    """Zero is a value; only what is unset is taken from the next level."""

    sampling = SamplingParams(temperature=0.0, seed=7).over(DEFAULT_SAMPLING)

    assert (0.0, 7, DEFAULT_SAMPLING.top_p) == (
        sampling.temperature,
        sampling.seed,
        sampling.top_p,
    )
