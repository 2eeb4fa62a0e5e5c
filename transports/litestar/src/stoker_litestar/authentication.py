"""Authentication: from a request's headers to its caller, and what each route asks of callers."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Awaitable, Callable
from typing import Any

from litestar import Request

from stoker.caller import Caller, Scope
from stoker.keys import KeyRing
from stoker_litestar.route_table import READS

NEEDS = "stoker_needs"
"""The key in a handler's `opt` for a function from the request's method to what it needs: a scope,
or `ANYBODY`, or `ANY_KEY`. A handler without it needs the scope `infer`."""
ANYBODY = "anybody"
"""No key is asked for."""
ANY_KEY = "any key"
"""A key is needed, whatever its scopes."""

Needs = Callable[[str], Scope | str]


def anybody(_method: str) -> str:
    """Of routes that tell nothing worth a key."""
    return ANYBODY


def any_key(_method: str) -> str:
    """Of routes that only tell how the server does."""
    return ANY_KEY


def reads_and_writes(method: str) -> Scope:
    """Of routes that read with some methods and change what is stored with the others."""
    return Scope.INFER if method in READS else Scope.ADMIN


def _infer(_method: str) -> Scope:
    return Scope.INFER


def authentication(keys: KeyRing) -> Callable[[Request[Any, Any, Any]], Awaitable[None]]:
    """Make the check that runs before every request's handler, and leaves the caller there."""

    async def authenticate(request: Request[Any, Any, Any]) -> None:
        needs: Needs = request.route_handler.opt.get(NEEDS, _infer)
        needed = needs(request.method)
        if needed == ANYBODY:
            return
        address = request.client.host if request.client else ""
        caller = keys.caller(key_of(request), address)
        if isinstance(needed, Scope):
            caller.require(needed)
        request.state.caller = caller

    return authenticate


def caller_of(request: Request[Any, Any, Any]) -> Caller:
    """Who sent a request that was authenticated."""
    caller: Caller = request.state.caller
    return caller


def key_of(request: Request[Any, Any, Any]) -> str | None:
    """The key that a request carries; None when it carries none.

    OpenAI's clients send it as a bearer token, Anthropic's as `x-api-key`, and those of registries
    as the password of Basic authentication, with any user name.
    """
    scheme, _, credentials = request.headers.get("authorization", "").partition(" ")
    credentials = credentials.strip()
    match scheme.lower():
        case "bearer" if credentials:
            return credentials
        case "basic":
            return _password(credentials)
    return request.headers.get("x-api-key") or None


def _password(credentials: str) -> str | None:
    try:
        text = base64.b64decode(credentials, validate=True).decode()
    except (binascii.Error, UnicodeDecodeError):
        return None
    return text.partition(":")[2] or None
