"""Logins: what a store offers besides when its registries want to know who asks."""

from __future__ import annotations

import abc

import attrs


@attrs.frozen
class Login:
    """A login that was kept."""

    registry: str
    place: str
    """Where it is kept, for people: a file, or a program."""
    is_verified: bool
    """False when the registry did not ask, so that nobody can tell whether it is right."""


class LoginKeeper(abc.ABC):
    """A store whose registries may want a login. Blocking code, called by any thread."""

    @abc.abstractmethod
    def log_in(self, registry: str, *, username: str, password: str) -> Login:
        """Try a login, and keep it when the registry takes it.

        Args:
            registry: `host[:port]`, as references name it; see `stoker.reference.parse_registry`.
            username: Who.
            password: A password or an access token.

        Raises:
            AccessDeniedError: The registry refuses it; nothing is kept.
            TransferError: The registry cannot be reached; nothing is kept.
            UnavailableError: It cannot be kept.
        """

    @abc.abstractmethod
    def log_out(self, registry: str) -> bool:
        """Forget a login.

        Returns:
            Whether there was one.

        Raises:
            UnavailableError: It cannot be forgotten.
        """
