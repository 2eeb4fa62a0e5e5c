"""The numbers that a model computes with: its own, or others where those are slow."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterable

import attrs

from stoker.weights import SafetensorsHeader
from stoker_mlx import library
from stoker_mlx.options import NumberType

_TYPES: dict[str, NumberType] = {"F32": "float32", "F16": "float16", "BF16": "bfloat16"}
_BYTES: dict[NumberType, int] = {"float32": 4, "float16": 2, "bfloat16": 2}
_PACKED = "U32"
"""The type of the tensors that hold quantised weights."""


@attrs.frozen
class Numbers:
    """What a model computes with."""

    chosen: NumberType | None
    """Into what its floats are turned when it is loaded; None leaves them as they are."""
    size_bytes: int
    """Of one of them."""
    growth_bytes: int
    """By how much the weights become larger than their files; less than 0 when they shrink."""


def numbers_of(
    headers: Iterable[SafetensorsHeader], wanted: NumberType | None, *, on_processor: bool
) -> Numbers:
    """Decide on a model's numbers.

    MLX on a processor has no vector instructions for 16-bit floats: products of float16 took
    2.7 times as long as those of float32, and quantised weights with scales of bfloat16 7 times as
    long as with other scales. Only for unquantised bfloat16 is there code that is quicker.

    Args:
        headers: Of the weights' files.
        wanted: What the options say.
        on_processor: Whether it will compute on a processor, and not on a GPU.
    """
    elements: Counter[str] = Counter()
    for header in headers:
        elements.update(header.elements)
    floats = {kind: elements[kind] for kind in _TYPES if elements[kind]}
    own = _TYPES[max(floats, key=floats.__getitem__)] if floats else "float32"
    chosen = wanted
    if chosen is None and on_processor:
        slow: NumberType = "bfloat16" if elements[_PACKED] else "float16"
        chosen = "float32" if own == slow else None
    if chosen is None:
        return Numbers(None, _BYTES[own], 0)
    size = _BYTES[chosen]
    growth = sum(count * (size - _BYTES[_TYPES[kind]]) for kind, count in floats.items())
    return Numbers(chosen, size, growth)


def computes_on_processor() -> bool:
    """Whether MLX, as it is installed, computes on the processor. Imports nothing of it."""
    return sys.platform == "linux" and not any(map(library.installed, library.CUDA_LIBRARIES))
