"""Logins to registries, tried before they are kept where docker keeps them."""

from __future__ import annotations

import contextlib

import attrs

from stoker.errors import AccessDeniedError, InvalidInputError
from stoker.logins import Login, LoginKeeper
from stoker.reference import Reference
from stoker_registry.credentials import CredentialSource, erase_credentials, store_credentials
from stoker_registry.login import Credentials
from stoker_registry.options import OciOptions


@attrs.frozen
class RegistryLogins(LoginKeeper):
    """The logins of this user."""

    options: OciOptions

    def log_in(self, registry: str, *, username: str, password: str) -> Login:
        """Try a login, and keep it where docker's config wants logins kept.

        Raises:
            InvalidInputError: The user name has a colon.
            AccessDeniedError: The registry refuses it.
            TransferError: There is no registry, or it cannot be reached.
            ConfigError: Docker's config cannot be read.
            UnavailableError: The login cannot be kept.
        """
        from stoker_registry.client import RepositoryClient  # noqa: PLC0415 - as in Registries

        if ":" in username:
            raise InvalidInputError(f"{username!r} is no user name: it has a colon in it.")
        credentials = Credentials(username, password)
        client = RepositoryClient(
            Reference(registry, ""),
            self.options,
            find=lambda _name: CredentialSource("the command line", credentials),
        )
        with contextlib.closing(client):
            try:
                is_verified = client.check_login()
            except AccessDeniedError as exc:
                raise AccessDeniedError(
                    f"{registry} does not take this password of {username!r}; nothing was kept."
                ) from exc
        return Login(registry, store_credentials(registry, credentials), is_verified)

    def log_out(self, registry: str) -> bool:
        """Forget a login, in docker's config and with the helper that it names.

        Raises:
            ConfigError: Docker's config cannot be read.
            UnavailableError: The login cannot be forgotten.
        """
        return erase_credentials(registry)
