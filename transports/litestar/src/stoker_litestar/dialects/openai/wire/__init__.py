"""The JSON forms of the OpenAI APIs, as msgspec Structs with their conversions."""

from __future__ import annotations
