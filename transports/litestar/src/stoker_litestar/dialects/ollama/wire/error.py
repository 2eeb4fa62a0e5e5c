"""Errors, in the body of a response and inside a stream."""

from __future__ import annotations

import msgspec


class ErrorBody(msgspec.Struct, frozen=True):
    """What went wrong: a sentence."""

    error: str
