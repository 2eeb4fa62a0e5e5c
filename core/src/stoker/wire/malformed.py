"""What decoding bytes of strangers raises: one tuple, because forgetting one part is easy."""

from __future__ import annotations

import msgspec

MALFORMED = (
    msgspec.MsgspecError,
    UnicodeDecodeError,
    # Of lists in lists in lists: msgspec counts on Python's own limit.
    RecursionError,
)
"""The bytes are no JSON, or not that of the type."""
