"""The one JSON encoder of this API; it has no state, so all requests share it."""

from __future__ import annotations

import msgspec

encode = msgspec.json.Encoder().encode
"""Turn a Struct into JSON, on one line."""


def line(value: msgspec.Struct) -> bytes:
    """A line of a stream."""
    return encode(value) + b"\n"
