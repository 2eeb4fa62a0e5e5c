"""Credentials from docker's `config.json`, each for its own registry only.

oras has a loader too, which is not used: it always reads the file of the home folder, whatever
`DOCKER_CONFIG` says, and knows nothing of identity tokens.

https://github.com/docker/cli/blob/v27.0.0/cli/config/configfile/file.go
"""

from __future__ import annotations

import base64
import binascii
import os
from pathlib import Path

import attrs
import msgspec

from stoker.errors import ConfigError
from stoker_registry.address import DOCKER_HUB

# The names under which docker and others keep a login to Docker Hub.
_DOCKER_HUB_KEYS = ("index.docker.io", DOCKER_HUB, "registry-1.docker.io")


@attrs.frozen
class Credentials:
    """A login to one registry."""

    username: str = ""
    password: str = attrs.field(default="", repr=False)
    identity_token: str = attrs.field(default="", repr=False)
    """An OAuth2 refresh token; where there is one, it goes before the password."""


@attrs.frozen
class CredentialSource:
    """What docker's config says of one registry."""

    path: Path
    credentials: Credentials | None
    helper: str | None
    """Name of the credential helper that would know more, and that stoker does not ask."""


class _Login(msgspec.Struct, frozen=True, rename="lower"):
    auth: str = ""
    username: str = ""
    password: str = ""
    identity_token: str = msgspec.field(default="", name="identitytoken")


class _DockerConfig(msgspec.Struct, frozen=True, rename="camel"):
    auths: dict[str, _Login] | None = None
    creds_store: str | None = None
    cred_helpers: dict[str, str] | None = None


def docker_config_path() -> Path:
    """Docker's config: in the folder that `DOCKER_CONFIG` names, else in `~/.docker`."""
    folder = os.environ.get("DOCKER_CONFIG")
    return (Path(folder) if folder else Path.home() / ".docker") / "config.json"


def find_credentials(registry: str, path: Path | None = None) -> CredentialSource:
    """Look up the login to a registry.

    Args:
        registry: The registry's name, as references spell it.
        path: The file to read; None means docker's own.

    Returns:
        The login, or None in its place when there is none or no file.

    Raises:
        ConfigError: The file cannot be read or understood.
    """
    path = path or docker_config_path()
    try:
        config = msgspec.json.decode(path.read_bytes(), type=_DockerConfig)
    except FileNotFoundError:
        return CredentialSource(path, None, None)
    except OSError as exc:
        raise ConfigError(source=str(path), key="", problem=exc.strerror or str(exc)) from exc
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as exc:
        raise ConfigError(source=str(path), key="", problem=str(exc)) from exc
    keys = _DOCKER_HUB_KEYS if registry == DOCKER_HUB else (registry,)
    helpers = {_host(key): name for key, name in (config.cred_helpers or {}).items()}
    helper = next((helpers[key] for key in keys if key in helpers), config.creds_store)
    logins = {_host(key): (key, login) for key, login in (config.auths or {}).items()}
    for key in keys:
        if key in logins:
            credentials = _credentials(path, *logins[key])
            if credentials is not None:
                return CredentialSource(path, credentials, helper)
    return CredentialSource(path, None, helper or None)


def _host(key: str) -> str:
    """`https://index.docker.io/v1/` and `index.docker.io` mean the same."""
    return key.partition("://")[2].partition("/")[0] if "://" in key else key.partition("/")[0]


def _credentials(path: Path, key: str, login: _Login) -> Credentials | None:
    username, password = login.username, login.password
    if login.auth:
        try:
            text = base64.b64decode(login.auth, validate=True).decode()
        except (binascii.Error, UnicodeDecodeError) as exc:
            raise ConfigError(
                source=str(path), key=f"auths.{key}.auth", problem="is no base64 of user:password"
            ) from exc
        username, _, password = text.partition(":")
        # Docker pads what it writes with NULs.
        password = password.strip("\0")
    if not (password or login.identity_token):
        return None
    return Credentials(username, password, login.identity_token)
