"""A request's own deadline, in the header `x-request-timeout`."""

from __future__ import annotations

import re
from typing import Any

from litestar import Request

from stoker.errors import InvalidRequestError

HEADER = "x-request-timeout"
_SECONDS = re.compile(r"[0-9]{1,7}(\.[0-9]{1,6})?", re.ASCII)


def timeout_of(request: Request[Any, Any, Any]) -> float | None:
    """How many seconds the whole answer may take; None when the request does not say.

    Raises:
        InvalidRequestError: The header is no number of seconds above 0.
    """
    text = request.headers.get(HEADER)
    if text is None:
        return None
    if not _SECONDS.fullmatch(text) or not float(text):
        raise InvalidRequestError(
            f"{HEADER} is how many seconds the answer may take, like 30 or 2.5.", param=HEADER
        )
    return float(text)
