"""The id of a request: one for its answer, its errors and the log."""

from __future__ import annotations

import uuid
from typing import Any

from litestar import Request

HEADER = "x-request-id"
_KEY = "request_id"


def request_id_of(request: Request[Any, Any, Any]) -> str:
    """The id of a request, which is made when it is first asked for."""
    found: str | None = request.state.get(_KEY)
    if found is None:
        found = request.state[_KEY] = uuid.uuid4().hex
    return found
