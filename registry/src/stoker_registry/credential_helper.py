"""Credential helpers: programs that keep logins in the system's own safe.

https://github.com/docker/docker-credential-helpers#development
"""

from __future__ import annotations

import re
import shutil
import subprocess

import attrs
import msgspec

from stoker.errors import ConfigError, UnavailableError
from stoker.wire.malformed import MALFORMED
from stoker_registry.login import Credentials

_PREFIX = "docker-credential-"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_TIMEOUT_S = 60.0
"""Some helpers ask the user to unlock a safe."""

# What helpers print for a server that they do not know; there is no other sign of it:
# https://github.com/docker/docker-credential-helpers/blob/v0.8.2/credentials/error.go
_NOT_FOUND = ("credentials not found in native keychain", "no credentials server URL")
_IDENTITY_TOKEN_USER = "<token>"  # noqa: S105 - a mark in the user's place, no secret


class _Secret(msgspec.Struct, rename="pascal"):
    username: str = ""
    secret: str = ""


class HelperError(UnavailableError):
    """A credential helper is not there, or failed."""


@attrs.frozen
class CredentialHelper:
    """One helper."""

    name: str
    """As docker's config has it: `pass`, `desktop`, `ecr-login`."""

    @classmethod
    def named(cls, name: str, *, source: str) -> CredentialHelper:
        """A helper by the name in a config.

        Raises:
            ConfigError: It could lead to a program of another kind.
        """
        if not _NAME.fullmatch(name):
            raise ConfigError(
                source=source, key="credHelpers", problem=f"{name!r} is no name of a helper"
            )
        return cls(name)

    @property
    def program(self) -> str:
        """The program's name."""
        return _PREFIX + self.name

    def get(self, server: str) -> Credentials | None:
        """Ask for a login.

        Returns:
            The login; None when the helper has none.

        Raises:
            HelperError: The helper is not there, failed, or answered nonsense.
        """
        done = self._run("get", server)
        if done.returncode != 0:
            said = _said(done)
            if any(words in said for words in _NOT_FOUND):
                return None
            raise self._failed("get", said)
        try:
            found = msgspec.json.decode(done.stdout, type=_Secret)
        except MALFORMED as exc:
            # Without the reason: it could quote the secret.
            raise HelperError(f"The credential helper {self.program} answered nonsense.") from exc
        if not found.secret:
            return None
        if found.username == _IDENTITY_TOKEN_USER:
            return Credentials(identity_token=found.secret)
        return Credentials(found.username, found.secret)

    def store(self, server: str, credentials: Credentials) -> None:
        """Keep a login, in the place of the one before.

        Raises:
            HelperError: The helper is not there or failed.
        """
        entry = {
            "ServerURL": server,
            "Username": credentials.username,
            "Secret": credentials.password,
        }
        done = self._run("store", msgspec.json.encode(entry).decode())
        if done.returncode != 0:
            raise self._failed("store", _said(done))

    def erase(self, server: str) -> None:
        """Forget a login; one that is not there is a no-op.

        Raises:
            HelperError: The helper is not there or failed.
        """
        done = self._run("erase", server)
        if done.returncode != 0 and not any(words in _said(done) for words in _NOT_FOUND):
            raise self._failed("erase", _said(done))

    def _run(self, action: str, text: str) -> subprocess.CompletedProcess[bytes]:
        path = shutil.which(self.program)
        if path is None:
            raise HelperError(f"The credential helper {self.program} is not installed.")
        try:
            return subprocess.run(
                [path, action],
                input=text.encode(),
                capture_output=True,
                timeout=_TIMEOUT_S,
                check=False,
            )
        except subprocess.TimeoutExpired as exc:
            raise HelperError(
                f"The credential helper {self.program} did not answer within {_TIMEOUT_S:g} s."
            ) from exc
        except OSError as exc:
            raise HelperError(
                f"The credential helper {self.program} cannot be run: {exc.strerror or exc}."
            ) from exc

    def _failed(self, action: str, said: str) -> HelperError:
        words = "".join(char if char.isprintable() else " " for char in said)[:200].strip(". ")
        return HelperError(
            f"The credential helper {self.program} failed to {action} a login"
            f"{f': {words}' if words else ''}."
        )


def _said(done: subprocess.CompletedProcess[bytes]) -> str:
    """What a helper that failed printed; most print errors to standard output."""
    return (done.stdout.strip() or done.stderr.strip()).decode("utf-8", errors="replace")
