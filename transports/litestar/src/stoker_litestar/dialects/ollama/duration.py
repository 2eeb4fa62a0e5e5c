"""Durations as Ollama's clients write them: Go's `1h30m`, or seconds as a number."""

from __future__ import annotations

import math
import re

from stoker_litestar.dialects.json_body import field_error

# https://pkg.go.dev/time#ParseDuration
_UNITS_S = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "μs": 1e-6, "ms": 1e-3, "s": 1, "m": 60, "h": 3600}  # noqa: RUF001 - Go takes the Greek letter, too
_TERM = re.compile(r"(?P<number>\d+\.?\d*|\.\d+)(?P<unit>ns|us|µs|μs|ms|s|m|h)", re.ASCII)  # noqa: RUF001 - as above
_DURATION = re.compile(rf"(?:{_TERM.pattern.replace('?P<number>', '?:').replace('?P<unit>', '?:')})+")
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
    seconds = sum(float(term["number"]) * _UNITS_S[term["unit"]] for term in terms)
    return -seconds if negative else seconds


def _error(value: object) -> Exception:
    return field_error(
        "keep_alive", f"expected seconds or a duration like 5m or 1h30m, not {str(value)[:40]!r}"
    )


def nanoseconds(seconds: float) -> int:
    """How Ollama counts time in answers."""
    return round(seconds * 1e9)
