"""The JSON forms of the Responses API, as msgspec Structs with their conversions."""

from __future__ import annotations
