"""Protection against DNS rebinding.

A web page can give its own name this machine's loopback address and then talk to what listens
there as to its own server. Such requests carry the page's name in `Host`, so names that anybody
could own are refused; addresses, and names that no public DNS serves, cannot be used that way.
The same hole in another runner: https://nvd.nist.gov/vuln/detail/CVE-2024-28224
"""

from __future__ import annotations

import ipaddress
from collections.abc import Awaitable, Callable
from typing import Any

from litestar import Request

from stoker.errors import AccessDeniedError
from stoker_litestar.options import HttpOptions

# RFC 6761 (localhost), RFC 6762 (local); internal is reserved by ICANN for private use.
_PRIVATE_SUFFIXES = (".localhost", ".local", ".internal")


def host_check(options: HttpOptions) -> Callable[[Request[Any, Any, Any]], Awaitable[None]]:
    """Make the check that runs before every request's handler."""
    allowed = {name.lower() for name in (options.host, "localhost", *options.allowed_hosts)}

    async def check(request: Request[Any, Any, Any]) -> None:
        header = request.headers.get("host", "")
        name = _name(header)
        if not (name in allowed or name.endswith(_PRIVATE_SUFFIXES) or _is_address(name)):
            raise AccessDeniedError(
                f"This server does not go by the name {name!r}: use its address, or list the name"
                " in transports.http.allowed_hosts."
            )

    return check


def _name(header: str) -> str:
    """The header without its port and without the brackets of IPv6."""
    name, colon, port = header.lower().rpartition(":")
    if not colon or not port.isdecimal():
        name = header.lower()
    return name.removeprefix("[").removesuffix("]")


def _is_address(name: str) -> bool:
    """Whether it is an address, or missing, as in requests of no browser."""
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return not name
    return True
