"""Errors: plain sentences, as Docker's own clients print them."""

from __future__ import annotations

from stoker.dialect import ErrorContext
from stoker.errors import StokerError

CONTENT_TYPE = "text/plain; charset=utf-8"


def encode_error(error: StokerError, _context: ErrorContext) -> bytes:
    """The body of an error response."""
    return error_line(error)


def error_line(error: StokerError) -> bytes:
    """The sentence, which is the same in a response and inside a stream."""
    return error.message.encode() + b"\n"
