"""The id of a request, by which its answer, its errors and the log name it."""

from __future__ import annotations

import uuid
from typing import Any

from litestar import Request

HEADERS = ("x-request-id", "request-id")
"""What every answer carries it in: clients of OpenAI read the one, those of Anthropic the other."""

_KEY = "request_id"


def id_of(request: Request[Any, Any, Any]) -> str:
    """The request's id, made when it is asked for first."""
    state = request.scope["state"]
    if _KEY not in state:
        state[_KEY] = uuid.uuid4().hex
    found: str = state[_KEY]
    return found
