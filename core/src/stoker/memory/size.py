"""Amounts of memory, as people write and read them."""

from __future__ import annotations

import re

from stoker.errors import InvalidInputError

_KIBI = 1024
_UNITS = {
    "": 1,
    "b": 1,
    "kb": 10**3,
    "mb": 10**6,
    "gb": 10**9,
    "tb": 10**12,
    "kib": _KIBI,
    "mib": _KIBI**2,
    "gib": _KIBI**3,
    "tib": _KIBI**4,
}
_SIZE = re.compile(r"\s*(\d+(?:\.\d+)?)\s*([a-z]*)\s*", re.IGNORECASE | re.ASCII)


def parse_size(text: str) -> int:
    """Read `12 GiB`, `800MB` or a number of bytes.

    Raises:
        InvalidInputError: It is no amount of memory.
    """
    match = _SIZE.fullmatch(text)
    unit = _UNITS.get(match[2].lower()) if match else None
    if match is None or unit is None:
        raise InvalidInputError(
            f'{text!r} is no amount of memory: write a number and a unit, such as "12 GiB".'
        )
    return int(float(match[1]) * unit)


def memory_text(size_bytes: float) -> str:
    """An amount of memory in binary units, as machines have it: `1.5 GiB`."""
    for unit in ("B", "KiB", "MiB"):
        if round(size_bytes, 1) < _KIBI:
            return f"{size_bytes:.0f} {unit}"
        size_bytes /= _KIBI
    return f"{size_bytes:.1f} GiB"
