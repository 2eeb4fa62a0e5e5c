"""Docker's `config.json`, where logins to registries are kept.

Stoker reads and writes the same file as docker, podman and others, so that one login serves all.

oras has a loader too, which is not used: it always reads the file of the home folder, whatever
`DOCKER_CONFIG` says, and knows nothing of identity tokens.

https://github.com/docker/cli/blob/v27.0.0/cli/config/configfile/file.go
"""

from __future__ import annotations

import base64
import binascii
import os
from pathlib import Path
from typing import Any

import attrs
import msgspec

from stoker.errors import ConfigError, UnavailableError
from stoker.reference import DEFAULT_REGISTRY, REGISTRY_ALIASES
from stoker.wire.malformed import MALFORMED
from stoker_registry.credential_helper import CredentialHelper
from stoker_registry.disk import write_atomically
from stoker_registry.login import Credentials

# The name under which docker keeps a login to Docker Hub.
_DOCKER_HUB_KEY = "https://index.docker.io/v1/"

_MAX_CONFIG_BYTES = 16 * 1024 * 1024


class _Login(msgspec.Struct, frozen=True, rename="lower"):
    auth: str = ""
    username: str = ""
    password: str = ""
    identity_token: str = msgspec.field(default="", name="identitytoken")
    registry_token: str = msgspec.field(default="", name="registrytoken")


class _DockerConfig(msgspec.Struct, frozen=True, rename="camel"):
    auths: dict[str, _Login] | None = None
    creds_store: str | None = None
    cred_helpers: dict[str, str] | None = None


def docker_config_path() -> Path:
    """Docker's config: in the folder that `DOCKER_CONFIG` names, else in `~/.docker`."""
    folder = os.environ.get("DOCKER_CONFIG")
    return (Path(folder) if folder else Path.home() / ".docker") / "config.json"


def server_key(registry: str) -> str:
    """The name under which docker keeps a login to a registry."""
    return _DOCKER_HUB_KEY if registry == DEFAULT_REGISTRY else registry


@attrs.frozen
class DockerConfig:
    """The file, as it was when it was read."""

    path: Path
    _config: _DockerConfig
    _document: dict[str, Any]
    """All of it: what stoker does not know is written back as it was."""

    @classmethod
    def read(cls, path: Path | None = None) -> DockerConfig:
        """Read the file; one that is not there is an empty one.

        Args:
            path: The file; None means docker's own.

        Raises:
            ConfigError: It cannot be read or understood.
        """
        path = path or docker_config_path()
        try:
            with path.open("rb") as file:
                data = file.read(_MAX_CONFIG_BYTES + 1)
            if len(data) > _MAX_CONFIG_BYTES:
                raise ConfigError(source=str(path), key="", problem="is too large to be a config")
            document = msgspec.json.decode(data, type=dict[str, Any])
            config = msgspec.convert(document, _DockerConfig)
        except FileNotFoundError:
            return cls(path, _DockerConfig(), {})
        except OSError as exc:
            raise ConfigError(source=str(path), key="", problem=exc.strerror or str(exc)) from exc
        except MALFORMED as exc:
            raise ConfigError(source=str(path), key="", problem=str(exc)) from exc
        return cls(path, config, document)

    def helper(self, registry: str) -> CredentialHelper | None:
        """The helper that keeps the login to a registry; None when the file itself does.

        Raises:
            ConfigError: The helper's name could not be one.
        """
        helpers = {_host(key): name for key, name in (self._config.cred_helpers or {}).items()}
        name = next((helpers[key] for key in _keys(registry) if key in helpers), None)
        name = self._config.creds_store if name is None else name
        if not name:
            return None
        return CredentialHelper.named(name, source=str(self.path))

    def login(self, registry: str) -> Credentials | None:
        """The login that the file itself has for a registry.

        Raises:
            ConfigError: It is no login.
        """
        logins = {_host(key): (key, login) for key, login in (self._config.auths or {}).items()}
        for key in _keys(registry):
            if key in logins:
                credentials = self._credentials(*logins[key])
                if credentials is not None:
                    return credentials
        return None

    def write_login(self, registry: str, credentials: Credentials | None) -> None:
        """Keep a login, in a file that only its owner can read.

        Args:
            registry: Whose.
            credentials: The login; None when a helper keeps it, which docker marks by an empty
                entry.

        Raises:
            UnavailableError: The file cannot be written.
        """
        entry: dict[str, str] = {}
        if credentials is not None:
            # Docker, too, writes user and password in base64, which hides them from a glance only.
            text = f"{credentials.username}:{credentials.password}"
            entry["auth"] = base64.b64encode(text.encode()).decode()
            if credentials.identity_token:
                entry["identitytoken"] = credentials.identity_token
        auths = self._others(registry)
        self._write(self._document | {"auths": auths | {server_key(registry): entry}})

    def erase_login(self, registry: str) -> bool:
        """Forget a login.

        Returns:
            Whether there was one.

        Raises:
            UnavailableError: The file cannot be written.
        """
        auths = self._others(registry)
        if len(auths) == len(self._config.auths or {}):
            return False
        self._write(self._document | {"auths": auths})
        return True

    def _others(self, registry: str) -> dict[str, Any]:
        keys = _keys(registry)
        auths: dict[str, Any] = self._document.get("auths") or {}
        return {key: login for key, login in auths.items() if _host(key) not in keys}

    def _write(self, document: dict[str, Any]) -> None:
        data = msgspec.json.format(msgspec.json.encode(document), indent=2) + b"\n"
        # The file may be a link into somebody's collection of settings: that stays one.
        path = self.path.resolve()
        try:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            write_atomically(path, data, mode=0o600)
        except OSError as exc:
            reason = exc.strerror or str(exc)
            raise UnavailableError(f"{self.path} cannot be written: {reason}.") from exc

    def _credentials(self, key: str, login: _Login) -> Credentials | None:
        username, password = login.username, login.password
        if login.auth:
            try:
                text = base64.b64decode(login.auth, validate=True).decode()
            except (binascii.Error, UnicodeDecodeError) as exc:
                raise ConfigError(
                    source=str(self.path),
                    key=f"auths.{key}.auth",
                    problem="is no base64 of user:password",
                ) from exc
            username, _, password = text.partition(":")
            # Docker pads what it writes with NULs.
            password = password.strip("\0")
        if not (password or login.identity_token or login.registry_token):
            return None
        return Credentials(username, password, login.identity_token, login.registry_token)


def _keys(registry: str) -> tuple[str, ...]:
    aliases = (alias for alias, name in REGISTRY_ALIASES.items() if name == registry)
    return (*aliases, registry)


def _host(key: str) -> str:
    """`https://index.docker.io/v1/` and `index.docker.io` mean the same."""
    host = key.partition("://")[2] if "://" in key else key
    return host.partition("/")[0].lower()
