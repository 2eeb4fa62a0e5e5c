"""Wire APIs as pure functions: nothing in here knows HTTP, Litestar, models or time."""

from __future__ import annotations
