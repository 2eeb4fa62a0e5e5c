"""The one JSON encoder of this API; it has no state, so all requests share it."""

from __future__ import annotations

import msgspec

encode = msgspec.json.Encoder().encode
"""Turn a value into JSON, on one line."""
