"""Errors: a sentence in an object, the same everywhere."""

from __future__ import annotations

from stoker.dialect import ErrorContext
from stoker.errors import StokerError
from stoker_litestar.dialects.ollama.wire.encoder import encode
from stoker_litestar.dialects.ollama.wire.error import ErrorBody


def encode_error(error: StokerError, _context: ErrorContext) -> bytes:
    """The body of an error response."""
    return error_object(error)


def error_object(error: StokerError) -> bytes:
    """The error object, which is the same in a response and inside a stream."""
    return encode(ErrorBody(error.message))
