"""The JSON forms of Anthropic's API, as msgspec Structs with their conversions."""

from __future__ import annotations
