"""Errors: plain sentences, as Docker's own clients print them."""

from __future__ import annotations

from stoker.errors import StokerError

CONTENT_TYPE = "text/plain; charset=utf-8"


def encode_error(error: StokerError, _status: int) -> bytes:
    """The body of an error response."""
    return error.message.encode() + b"\n"
