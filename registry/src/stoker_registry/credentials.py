"""Logins to registries: each for its own registry only, from docker's config and its helpers."""

from __future__ import annotations

from pathlib import Path

import attrs

from stoker_registry.credential_helper import CredentialHelper, HelperError
from stoker_registry.docker_config import DockerConfig, server_key
from stoker_registry.login import Credentials


@attrs.frozen
class CredentialSource:
    """What is known of the login to one registry."""

    place: str
    """For people: docker's config, or the helper that it names."""
    credentials: Credentials | None
    problem: str | None = None
    """Why the helper that should know could not be asked."""


def find_credentials(registry: str, path: Path | None = None) -> CredentialSource:
    """Look up the login to a registry: with the helper that keeps it, then in the file.

    A helper that cannot be asked is no error here, for most models can be had without a login.

    Args:
        registry: The registry's name, as references spell it.
        path: The file to read; None means docker's own.

    Returns:
        The login, or None in its place when there is none or no file.

    Raises:
        ConfigError: The file cannot be read or understood.
    """
    config = DockerConfig.read(path)
    helper = config.helper(registry)
    problem = None
    if helper is not None:
        try:
            credentials = helper.get(server_key(registry))
        except HelperError as exc:
            problem = exc.message
        else:
            if credentials is not None:
                return CredentialSource(_place(helper), credentials)
    return CredentialSource(str(config.path), config.login(registry), problem)


def store_credentials(registry: str, credentials: Credentials, path: Path | None = None) -> str:
    """Keep a login where docker's config wants it kept.

    Returns:
        The place, for people.

    Raises:
        ConfigError: The file cannot be read or understood.
        UnavailableError: The file cannot be written, or the helper failed.
    """
    config = DockerConfig.read(path)
    helper = config.helper(registry)
    if helper is None:
        config.write_login(registry, credentials)
        return str(config.path)
    helper.store(server_key(registry), credentials)
    config.write_login(registry, None)
    return _place(helper)


def erase_credentials(registry: str, path: Path | None = None) -> bool:
    """Forget a login everywhere.

    Returns:
        Whether there was one.

    Raises:
        ConfigError: The file cannot be read or understood.
        UnavailableError: The file cannot be written, or the helper failed.
    """
    config = DockerConfig.read(path)
    helper = config.helper(registry)
    was_kept = helper is not None and helper.get(server_key(registry)) is not None
    if helper is not None and was_kept:
        helper.erase(server_key(registry))
    return config.erase_login(registry) or was_kept


def _place(helper: CredentialHelper) -> str:
    return f"the credential helper {helper.program}"
