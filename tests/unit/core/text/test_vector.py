"""Vectors as bytes."""

from __future__ import annotations

import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stoker.text.vector import floats, normalized, shortened

numbers = st.lists(st.floats(-(2.0**60), 2.0**60, width=32), min_size=1, max_size=20)


@given(numbers)
def test_bytes_are_little_endian_floats(values: list[float]) -> None:
    """What was packed comes out."""
    assert values == list(floats(struct.pack(f"<{len(values)}f", *values)))


@given(numbers)
def test_a_normalized_vector_has_the_length_1(values: list[float]) -> None:
    """The direction stays, as numpy computes it; nothing but zeros stays as it is."""
    vector = np.array(values, "<f4")
    length = np.linalg.norm(vector.astype(np.float64))

    found = np.array(floats(normalized(vector.tobytes())))

    expected = vector / length if length else vector
    assert found == pytest.approx(expected, abs=1e-6)


def test_a_shortened_vector_has_the_first_numbers() -> None:
    """Unset keeps all."""
    vector = struct.pack("<3f", 1, 2, 3)

    assert [1, 2] == list(floats(shortened(vector, 2)))
    assert vector == shortened(vector, None)
