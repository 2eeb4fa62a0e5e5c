"""API keys: made at random, kept as hashes, compared in constant time.

A key has 256 random bits, so nobody can guess it from a fast hash; the slow hashes that passwords
need would only cost time on each request.
"""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
import re
import secrets
from collections.abc import Iterable

import attrs

from stoker.caller import Caller, Scope
from stoker.errors import UnauthenticatedError

_PREFIX = "sk-stoker-"
"""Lets scanners for leaked secrets, and people, see what it is."""
_RANDOM_BYTES = 32
_HASH = re.compile(r"sha256:[0-9a-f]{64}")


def new_key() -> str:
    """Make a key; only its owner may keep it."""
    return _PREFIX + secrets.token_urlsafe(_RANDOM_BYTES)


def hash_of(key: str) -> str:
    """What is kept of a key."""
    return "sha256:" + hashlib.sha256(key.encode("utf-8", "surrogateescape")).hexdigest()


def is_hash(text: str) -> bool:
    """Whether a text is what `hash_of` gives."""
    return _HASH.fullmatch(text) is not None


@attrs.frozen
class ApiKey:
    """What is known of a key."""

    name: str
    hash: str = attrs.field(repr=False)
    scopes: frozenset[Scope]


def _as_tuple(keys: Iterable[ApiKey]) -> tuple[ApiKey, ...]:
    return tuple(keys)


@attrs.define(eq=False)
class KeyRing:
    """All keys. Without any, whoever reaches a transport may use it.

    Transports keep the ring and ask it each time: its keys may be replaced while they serve.
    """

    keys: tuple[ApiKey, ...] = attrs.field(default=(), converter=_as_tuple)

    def replace(self, keys: Iterable[ApiKey]) -> None:
        """Have other keys from now on."""
        self.keys = tuple(keys)

    def __bool__(self) -> bool:
        return bool(self.keys)

    def caller(self, key: str | None, address: str) -> Caller:
        """Find out who asks.

        Args:
            key: What the request carries; None when it carries none.
            address: Where it came from, without a port.

        Returns:
            The caller. Without any keys in the ring it may do everything on this machine, and ask
            models from elsewhere.

        Raises:
            UnauthenticatedError: There are keys, and this is none of them.
        """
        if not self.keys:
            scopes = frozenset(Scope) if is_loopback(address) else frozenset({Scope.INFER})
            return Caller(address, scopes, address)
        if key is None:
            raise UnauthenticatedError(
                "This server needs an API key: send the header `Authorization: Bearer KEY`."
            )
        given = hash_of(key)
        # All are compared, whichever fits, so that the time tells nothing.
        found = [known for known in self.keys if hmac.compare_digest(known.hash, given)]
        if not found:
            raise UnauthenticatedError("This is not one of the server's API keys.")
        return Caller(found[0].name, found[0].scopes, address)


NO_KEYS = KeyRing()


def is_loopback(address: str) -> bool:
    """Whether only this machine can be, or reach, an address; a name is one only as `localhost`."""
    if address == "localhost":
        return True
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return False
    mapped = getattr(parsed, "ipv4_mapped", None)
    return (mapped or parsed).is_loopback
