"""Streams for the dialect's tests."""

from __future__ import annotations

from stoker.dialect import ResponseContext
from stoker.events import Usage

CONTEXT = ResponseContext(id="abc", created_s=1234, archived=True)
USAGE = Usage(prompt_tokens=5, completion_tokens=4, cached_tokens=3, reasoning_tokens=1)
