"""Web pages: which of them may use the server from a browser.

A browser sends along in `Origin` which page makes a request that could do something. A page of
somebody else's that the user just happens to visit must not spend this machine's time or read its
answers, and need not be able to: https://fetch.spec.whatwg.org/#origin-header
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import urlsplit

from litestar import Request
from litestar.config.cors import CORSConfig

from stoker.errors import AccessDeniedError
from stoker_litestar.options import HttpOptions

ANY = "*"
_MAX_SHOWN_CHARS = 100


def cors(options: HttpOptions) -> CORSConfig | None:
    """What browsers are told about the allowed pages; None when there are none."""
    if not options.allowed_origins:
        return None
    return CORSConfig(
        allow_origins=list(options.allowed_origins),
        allow_methods=["GET", "HEAD", "POST", "DELETE", "OPTIONS"],
        allow_headers=["*"],
        expose_headers=["x-request-id", "retry-after"],
    )


def origin_check(options: HttpOptions) -> Callable[[Request[Any, Any, Any]], Awaitable[None]]:
    """Make the check that runs before every request's handler."""
    allowed = {origin.lower().rstrip("/") for origin in options.allowed_origins}

    async def check(request: Request[Any, Any, Any]) -> None:
        origin = request.headers.get("origin")
        if origin is None or ANY in allowed or origin.lower() in allowed:
            return
        # The name in `Host` was checked before, so it is no page's that calls itself like us.
        if _host(origin) == request.headers.get("host", "").lower():
            return
        raise AccessDeniedError(
            f"Web pages of {origin[:_MAX_SHOWN_CHARS]!r} may not use this server: list the origin"
            " in transports.http.allowed_origins if they should."
        )

    return check


def _host(origin: str) -> str:
    try:
        return urlsplit(origin.lower()).netloc
    except ValueError:
        return ""
