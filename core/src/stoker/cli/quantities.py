"""Sizes and times as people read them."""

from __future__ import annotations

_KILO = 1000
_MINUTE_S = 60
_HOUR_S = 60 * _MINUTE_S
_DAY_S = 24 * _HOUR_S


def size_text(size_bytes: float) -> str:
    """A size in decimal units, as disks and networks are sold: `98.4 MB`."""
    if size_bytes < _KILO:
        return f"{size_bytes:.0f} B"
    for unit in ("kB", "MB", "GB"):
        size_bytes /= _KILO
        if round(size_bytes, 1) < _KILO:
            return f"{size_bytes:.1f} {unit}"
    return f"{size_bytes / _KILO:.1f} TB"


def duration_text(duration_s: float) -> str:
    """A duration in its largest whole unit: `5 minutes`."""
    for unit_s, unit in ((_DAY_S, "day"), (_HOUR_S, "hour"), (_MINUTE_S, "minute")):
        if duration_s >= unit_s:
            return _count(int(duration_s // unit_s), unit)
    return _count(max(int(duration_s), 0), "second")


def age_text(created_s: float | None, now_s: float) -> str:
    """How long ago something was made; `-` when nobody knows."""
    return f"{duration_text(now_s - created_s)} ago" if created_s else "-"


def _count(number: int, unit: str) -> str:
    return f"{number} {unit}" if number == 1 else f"{number} {unit}s"
