"""Vectors as bytes: 32-bit floats, little-endian, as engines give them and frames carry them.

The core does without numpy. For one vector at a time plain Python is quick enough: a thousand
numbers take less than a tenth of a millisecond, and the model takes many.
"""

from __future__ import annotations

import array
import math
import sys

_FLOAT_BYTES = 4


def floats(vector: bytes) -> array.array[float]:
    """The numbers of a vector."""
    numbers = array.array("f")
    numbers.frombytes(vector)
    if sys.byteorder == "big":
        numbers.byteswap()
    return numbers


def shortened(vector: bytes, dimensions: int | None) -> bytes:
    """The first so many numbers of a vector; all when None."""
    return vector if dimensions is None else vector[: dimensions * _FLOAT_BYTES]


def normalized(vector: bytes) -> bytes:
    """A vector of the same direction and the length 1; nothing but zeros stays as it is."""
    numbers = floats(vector)
    length = math.hypot(*numbers)
    if not length:
        return vector
    scaled = array.array("f", [number / length for number in numbers])
    if sys.byteorder == "big":
        scaled.byteswap()
    return scaled.tobytes()
