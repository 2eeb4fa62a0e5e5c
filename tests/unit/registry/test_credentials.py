"""Tests of `stoker_registry.credentials`."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from stoker.errors import ConfigError
from stoker_registry.credentials import Credentials, docker_config_path, find_credentials

AUTH = base64.b64encode(b"alice:s3:cret").decode()


def write(path: Path, **config: Any) -> None:
    """Write docker's config."""
    path.write_text(json.dumps(config))


@pytest.mark.parametrize(
    ("registry", "key"),
    [
        ("reg.example", "reg.example"),
        ("reg.example", "https://reg.example"),
        ("reg.example", "https://reg.example/v2/"),
        ("reg.example:5000", "reg.example:5000"),
        ("docker.io", "https://index.docker.io/v1/"),
        ("docker.io", "index.docker.io"),
        ("docker.io", "docker.io"),
    ],
)
def test_keys_of_a_registry(docker_config: Path, registry: str, key: str) -> None:
    """A login is found under every name that docker and others keep it under."""
    write(docker_config, auths={key: {"auth": AUTH}})

    assert Credentials("alice", "s3:cret") == find_credentials(registry).credentials


@pytest.mark.parametrize(
    "key", ["example", "reg.example.evil", "evil-reg.example", "reg.example:1"]
)
def test_similar_names_are_other_registries(docker_config: Path, key: str) -> None:
    """A login is for exactly one host and port."""
    write(docker_config, auths={key: {"auth": AUTH}})

    assert None is find_credentials("reg.example").credentials


def test_login_in_clear_fields(docker_config: Path) -> None:
    """User and password may stand as they are."""
    write(docker_config, auths={"r.example": {"username": "bob", "password": "p"}})

    assert Credentials("bob", "p") == find_credentials("r.example").credentials


def test_passwords_are_not_shown() -> None:
    """A login's text form, as in a log, has no secrets."""

    assert "s3cret" not in repr(Credentials("alice", "s3cret", "s3cret"))


def test_no_file_is_no_login(docker_config: Path) -> None:
    """Whoever never logged in has no file, which is fine."""

    assert None is find_credentials("reg.example").credentials
    assert docker_config == docker_config_path()


def test_the_home_folder_is_the_default(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without DOCKER_CONFIG the file is ~/.docker/config.json."""
    monkeypatch.delenv("DOCKER_CONFIG")

    assert Path.home() / ".docker" / "config.json" == docker_config_path()


def test_helpers_are_reported(docker_config: Path) -> None:
    """The helper of this registry goes before the general one."""
    write(docker_config, credsStore="general", credHelpers={"a.example": "special"})

    assert "special" == find_credentials("a.example").helper
    assert "general" == find_credentials("b.example").helper


@pytest.mark.parametrize("auth", ["%%%", "////", "YQ"])
def test_broken_logins_are_named(docker_config: Path, auth: str) -> None:
    """An `auth` that is no base64 of a text is an error that names its key."""
    write(docker_config, auths={"r.example": {"auth": auth}})

    with pytest.raises(ConfigError, match=r"auths\.r\.example\.auth"):
        find_credentials("r.example")


def test_an_unreadable_file_is_named(docker_config: Path) -> None:
    """A folder in the file's place is an error with its path."""
    docker_config.mkdir()

    with pytest.raises(ConfigError, match=r"config\.json"):
        find_credentials("r.example")


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=5),
        lambda inner: (
            st.lists(inner, max_size=2)
            | st.dictionaries(
                st.sampled_from(["auths", "credsStore", "credHelpers", "auth", "r.example"]),
                inner,
                max_size=3,
            )
        ),
        max_leaves=8,
    )
)
def test_any_config_is_read_or_refused(docker_config: Path, config: Any) -> None:
    """No content of the file makes the reader raise anything but its own error."""
    docker_config.write_text(json.dumps(config))
    try:
        found = find_credentials("r.example")
    except ConfigError:
        return

    assert docker_config == found.path
