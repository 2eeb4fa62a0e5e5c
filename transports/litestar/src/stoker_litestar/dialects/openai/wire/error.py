"""Errors, in the body of a response and inside a stream."""

from __future__ import annotations

import msgspec


class ErrorDetail(msgspec.Struct, frozen=True):
    """What went wrong. Every field is always there, as strict clients expect."""

    message: str
    type: str
    param: str | None
    code: str | None


class ErrorBody(msgspec.Struct, frozen=True):
    """The object around it."""

    error: ErrorDetail
