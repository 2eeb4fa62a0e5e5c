"""Moments as Ollama writes them: RFC 3339, in UTC."""

from __future__ import annotations

import datetime as dt

_FOREVER = "9999-12-31T23:59:59Z"


def moment(seconds: float) -> str:
    """A moment, from seconds since the epoch; what no calendar holds is the end of time."""
    try:
        at = dt.datetime.fromtimestamp(seconds, tz=dt.UTC)
    except (OverflowError, ValueError, OSError):
        return _FOREVER
    return at.isoformat().replace("+00:00", "Z")


def moment_after(now_s: float, seconds: float | None) -> str:
    """A moment so many seconds from now; never when it is None."""
    return _FOREVER if seconds is None else moment(now_s + seconds)
