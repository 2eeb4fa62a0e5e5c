"""Durations as Ollama's clients write them: Go's `1h30m`, or seconds as a number."""

from __future__ import annotations

import math
import re

from stoker.errors import InvalidRequestError
from stoker_litestar.dialects.json_body import field_error

# https://pkg.go.dev/time#ParseDuration, which takes both the sign for micro and the Greek letter.
_UNITS_S = {
    "ns": 1e-9,
    "us": 1e-6,
    "\u00b5s": 1e-6,
    "\u03bcs": 1e-6,
    "ms": 1e-3,
    "s": 1.0,
    "m": 60.0,
    "h": 3600.0,
}
_TERM_PATTERN = rf"(\d+\.?\d*|\.\d+)({'|'.join(_UNITS_S)})"
_TERM = re.compile(_TERM_PATTERN, re.ASCII)
_DURATION = re.compile(f"(?:{_TERM_PATTERN})+", re.ASCII)
_NUMBER = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)", re.ASCII)


def keep_alive_s(value: float | str | None) -> float | None:
    """How long a model is kept, in seconds; negative ones mean for ever.

    Raises:
        InvalidRequestError: It is no duration.
    """
    if value is None:
        return None
    seconds = value if isinstance(value, (int, float)) else _seconds(value.strip())
    if math.isnan(seconds):
        raise _error(value)
    return math.inf if seconds < 0 else float(seconds)


def _seconds(text: str) -> float:
    if _NUMBER.fullmatch(text):
        return float(text)
    negative = text.startswith("-")
    bare = text.removeprefix("-") if negative else text.removeprefix("+")
    if not _DURATION.fullmatch(bare):
        raise _error(text)
    terms = _TERM.finditer(bare)
    seconds = sum(float(term[1]) * _UNITS_S[term[2]] for term in terms)
    return -seconds if negative else seconds


def _error(value: object) -> InvalidRequestError:
    return field_error(
        "keep_alive", f"expected seconds or a duration like 5m or 1h30m, not {str(value)[:40]!r}"
    )


def nanoseconds(seconds: float) -> int:
    """How Ollama counts time in answers."""
    return round(seconds * 1e9)
