"""Who asks: what a transport attaches to every request, so that the core can tell callers apart.

A transport finds the caller with `stoker.keys.KeyRing`, whatever its protocol calls a key. The core
checks the scopes, takes turns between callers, and names them in logs; it never sees a key.
"""

from __future__ import annotations

import enum
import uuid

import attrs

from stoker.errors import AccessDeniedError


class Scope(enum.StrEnum):
    """What a caller may do. Neither includes the other."""

    INFER = "infer"
    """Ask models, list them and pull them."""
    ADMIN = "admin"
    """Change what is loaded and what is stored."""


@attrs.frozen
class Caller:
    """Somebody who asks for something."""

    name: str
    """Of the API key, else the address: requests of one name share their turns and limits."""
    scopes: frozenset[Scope]
    address: str = ""
    """Where the request came from, without a port; empty on this machine's own socket."""

    def require(self, scope: Scope) -> None:
        """Let a caller through that may do this.

        Raises:
            AccessDeniedError: It may not.
        """
        if scope not in self.scopes:
            raise AccessDeniedError(
                f"The key {self.name!r} has no scope {scope.value!r}, which this needs."
                if self.scopes
                else "This needs an API key."
            )


LOCAL = Caller("local", frozenset(Scope))
"""Whoever can open this user's control socket, or is in the process itself."""


def _new_id() -> str:
    return uuid.uuid4().hex


@attrs.frozen
class RequestContext:
    """What goes with a request besides what is asked."""

    caller: Caller
    id: str = attrs.field(factory=_new_id)
    """Unique; letters, digits and `-` only. Logs name the request by it."""
    timeout_s: float | None = None
    """How long the whole answer may take, waiting included; None sets no bound of its own."""
