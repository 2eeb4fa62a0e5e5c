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
from stoker_registry.credentials import (
    erase_credentials,
    find_credentials,
    store_credentials,
)
from stoker_registry.docker_config import docker_config_path
from stoker_registry.login import Credentials

from .conftest import MakeHelper

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


def test_the_helper_of_a_registry_goes_before_the_general_one(
    docker_config: Path, make_helper: MakeHelper
) -> None:
    """`credHelpers` names one per registry, `credsStore` one for all others."""
    make_helper("special", {"a.example": ("ann", "1")})
    make_helper("general", {"a.example": ("nobody", "0"), "b.example": ("bob", "2")})
    write(docker_config, credsStore="general", credHelpers={"https://a.example": "special"})

    assert Credentials("ann", "1") == find_credentials("a.example").credentials
    assert Credentials("bob", "2") == find_credentials("b.example").credentials
    assert None is find_credentials("c.example").credentials
    assert "docker-credential-special" in find_credentials("a.example").place


def test_a_helper_is_asked_for_docker_hub_by_its_old_address(
    docker_config: Path, make_helper: MakeHelper
) -> None:
    """Docker Hub's login stands under the address of its index."""
    make_helper("safe", {"https://index.docker.io/v1/": ("ann", "1")})
    write(docker_config, credsStore="safe")

    assert Credentials("ann", "1") == find_credentials("docker.io").credentials


def test_an_identity_token_of_a_helper(docker_config: Path, make_helper: MakeHelper) -> None:
    """The user `<token>` marks the secret as a token to refresh with."""
    make_helper("safe", {"a.example": ("<token>", "refresh me")})
    write(docker_config, credsStore="safe")

    assert Credentials(identity_token="refresh me") == find_credentials("a.example").credentials


def test_what_a_helper_does_not_know_the_file_may(
    docker_config: Path, make_helper: MakeHelper
) -> None:
    """A login that was written before the helper was set up still counts."""
    make_helper("safe", {})
    write(docker_config, credsStore="safe", auths={"a.example": {"auth": AUTH}})

    assert Credentials("alice", "s3:cret") == find_credentials("a.example").credentials
    assert None is find_credentials("a.example").problem


def test_a_helper_that_cannot_be_asked_is_reported(
    docker_config: Path, make_helper: MakeHelper
) -> None:
    """One that is missing, fails or talks nonsense is a problem to tell, and no end."""
    write(docker_config, credsStore="absent", auths={"a.example": {"auth": AUTH}})
    found = find_credentials("a.example")
    assert Credentials("alice", "s3:cret") == found.credentials
    assert "docker-credential-absent is not installed" in str(found.problem)

    make_helper("broken", {}, script="echo the safe is locked; exit 2")
    write(docker_config, credsStore="broken")
    assert "failed to get a login: the safe is locked" in str(find_credentials("a").problem)
    make_helper("mad", {}, script="echo hello")
    write(docker_config, credsStore="mad")
    assert "answered nonsense" in str(find_credentials("a").problem)


@pytest.mark.parametrize("name", ["../evil", "a b", "/bin/sh", "-x"])
def test_a_helper_has_a_plain_name(docker_config: Path, name: str) -> None:
    """What could lead to another program is refused."""
    write(docker_config, credsStore=name)

    with pytest.raises(ConfigError, match="no name of a helper"):
        find_credentials("a.example")


def test_a_kept_login_is_found(docker_config: Path) -> None:
    """A login is kept in a file for its owner alone, and all else in the file stays."""
    write(docker_config, auths={"b.example": {"auth": AUTH}}, proxies={"x": [1]})
    docker_config.chmod(0o644)

    place = store_credentials("a.example", Credentials("ann", "p:ü"))

    assert str(docker_config) == place
    assert 0o600 == docker_config.stat().st_mode & 0o777
    assert Credentials("ann", "p:ü") == find_credentials("a.example").credentials
    assert Credentials("alice", "s3:cret") == find_credentials("b.example").credentials
    assert {"x": [1]} == json.loads(docker_config.read_text())["proxies"]


def test_a_new_login_replaces_the_old_ones(docker_config: Path) -> None:
    """Every spelling under which a login stood is replaced by docker's own."""
    write(docker_config, auths={"index.docker.io": {"auth": AUTH}, "docker.io": {"auth": AUTH}})

    store_credentials("docker.io", Credentials("ann", "1"))

    assert ["https://index.docker.io/v1/"] == list(json.loads(docker_config.read_text())["auths"])


def test_a_config_that_is_a_link_stays_one(docker_config: Path, tmp_path: Path) -> None:
    """Whoever keeps their settings elsewhere finds the login there."""
    (tmp_path / "dotfiles").write_text("{}")
    docker_config.symlink_to(tmp_path / "dotfiles")

    store_credentials("a.example", Credentials("ann", "1"))

    assert docker_config.is_symlink()
    assert "a.example" in (tmp_path / "dotfiles").read_text()


def test_a_login_is_forgotten(docker_config: Path) -> None:
    """Afterwards there is none, which is said when it happens again."""
    store_credentials("a.example", Credentials("ann", "1"))

    assert erase_credentials("a.example")
    assert None is find_credentials("a.example").credentials
    assert not erase_credentials("a.example")


def test_a_helper_keeps_and_forgets(docker_config: Path, make_helper: MakeHelper) -> None:
    """With a helper, no secret ever stands in the file."""
    make_helper("safe", {})
    write(docker_config, credsStore="safe")

    place = store_credentials("a.example", Credentials("ann", "s3cret"))

    assert "the credential helper docker-credential-safe" == place
    assert {"a.example": {}} == json.loads(docker_config.read_text())["auths"]
    assert Credentials("ann", "s3cret") == find_credentials("a.example").credentials
    assert erase_credentials("a.example")
    assert None is find_credentials("a.example").credentials
    assert not erase_credentials("a.example")


def test_a_token_for_the_registry_itself(docker_config: Path) -> None:
    """`registrytoken` is a login without user and password."""
    write(docker_config, auths={"a.example": {"registrytoken": "bearer me"}})

    assert Credentials(registry_token="bearer me") == find_credentials("a.example").credentials


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

    assert str(docker_config) == found.place
