"""Logging in, TLS and proxies: the store against registries that want to know who asks."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from token_server import LEEWAY_S, TokenServer

from stoker.errors import (
    AccessDeniedError,
    ConfigError,
    InvalidInputError,
    TransferError,
)
from stoker.reference import Reference
from stoker.store import PackageSource
from stoker_registry.backoff import Backoff
from stoker_registry.client import RepositoryClient
from stoker_registry.credentials import find_credentials
from stoker_registry.login import Credentials
from stoker_registry.options import HostOptions, OciOptions
from stoker_registry.store import OciStore

from .conftest import QUICK, FakeRegistry, MakeHelper, MakeStore, ignore


def package(store: OciStore, name: str, gguf: Path) -> Reference:
    """Make a model of that name."""
    reference = Reference.parse(name)
    store.package(reference, PackageSource((gguf,)), ignore)
    return reference


def write_login(docker_config: Path, host: str, **entry: str) -> None:
    """Have a login in docker's config."""
    docker_config.write_text(json.dumps({"auths": {host: entry}}))


def auth(login: str) -> str:
    """A login as docker writes it."""
    return base64.b64encode(login.encode()).decode()


@pytest.mark.registry
def test_a_login_is_tried_kept_used_and_forgotten(
    store: OciStore, real_registry_with_login: str, docker_config: Path, gguf: Path
) -> None:
    """A right password opens the registry until it is forgotten; a wrong one changes nothing."""
    reference = package(store, f"{real_registry_with_login}/login/tiny:v1", gguf)
    host = reference.registry

    with pytest.raises(AccessDeniedError, match=r"does not take this password of 'alice'"):
        store.log_in(host, username="alice", password="wrong")
    assert not docker_config.exists()
    login = store.log_in(host, username="alice", password="s3cret")
    assert (host, str(docker_config), True) == (login.registry, login.place, login.is_verified)
    assert 0o600 == docker_config.stat().st_mode & 0o777
    store.push(reference, ignore)
    assert store.log_out(host)
    assert not store.log_out(host)
    with pytest.raises(AccessDeniedError, match=f"stoker login {host}"):
        store.push(reference, ignore)


@pytest.mark.registry
def test_a_login_at_a_token_server(
    store: OciStore, real_registry_with_tokens: str, docker_config: Path
) -> None:
    """The password is tried where the registry gets its tokens."""
    with pytest.raises(AccessDeniedError):
        store.log_in(real_registry_with_tokens, username="alice", password="wrong")
    assert store.log_in(real_registry_with_tokens, username="alice", password="s3cret").is_verified


@pytest.mark.registry
def test_a_login_that_nobody_asked_for(store: OciStore, real_registry: str) -> None:
    """A registry that is open takes any login, which is said."""

    assert not store.log_in(real_registry, username="alice", password="x").is_verified


def test_a_login_with_a_helper(
    store: OciStore, registry: FakeRegistry, docker_config: Path, make_helper: MakeHelper
) -> None:
    """Where docker's config names a helper, it keeps the login."""
    make_helper("safe", {})
    docker_config.write_text('{"credsStore":"safe"}')
    registry.fault("GET", "^/v2/$", lambda handler: handler.reply(200))

    login = store.log_in(registry.host, username="alice", password="s3cret")

    assert "the credential helper docker-credential-safe" == login.place
    assert "s3cret" not in docker_config.read_text()
    assert Credentials("alice", "s3cret") == find_credentials(registry.host).credentials


def test_no_login_is_kept_for_what_is_no_registry(
    store: OciStore, registry: FakeRegistry, docker_config: Path
) -> None:
    """A host without the API, and a user name that Basic cannot carry, are refused."""
    with pytest.raises(TransferError, match="no such address"):
        store.log_in(registry.host, username="alice", password="s3cret")
    with pytest.raises(InvalidInputError, match="colon"):
        store.log_in(registry.host, username="al:ice", password="s3cret")
    assert not docker_config.exists()


@pytest.mark.registry
def test_tokens_of_a_real_token_server(
    make_store: MakeStore,
    real_registry_with_tokens: str,
    token_server: TokenServer,
    docker_config: Path,
    gguf: Path,
) -> None:
    """Reading is for everybody, writing with a password; each gets a token of its own scope."""
    reference = package(make_store("one"), f"{real_registry_with_tokens}/token/tiny:v1", gguf)
    second = Reference.parse(f"{real_registry_with_tokens}/token/second:v1")
    with pytest.raises(AccessDeniedError):
        make_store("one").push(reference, ignore)

    write_login(docker_config, reference.registry, auth=auth("alice:s3cret"))
    digest = make_store("one").push(reference, ignore)
    make_store("one").tag(reference, second)
    assert digest == make_store("one").push(second, ignore)
    docker_config.unlink()
    token_server.asked.clear()
    assert digest == make_store("two").pull(reference, ignore).digest
    assert [("GET", ("repository:token/tiny:pull",))] == token_server.asked


@pytest.mark.registry
def test_pull_then_push_with_one_client(
    make_store: MakeStore,
    real_registry_with_tokens: str,
    token_server: TokenServer,
    docker_config: Path,
    gguf: Path,
) -> None:
    """A client that has read gets a wider token when it writes; an expired one is renewed."""
    reference = package(make_store("one"), f"{real_registry_with_tokens}/wider/tiny:v1", gguf)
    write_login(docker_config, reference.registry, auth=auth("alice:s3cret"))
    make_store("one").push(reference, ignore)
    client = RepositoryClient(reference, OciOptions(timeout_s=5.0), backoff=QUICK)
    token_server.asked.clear()

    stored = client.fetch_manifest("v1")
    client.upload_manifest(stored, "v2")
    actions = [scopes[0].rpartition(":")[2] for _, scopes in token_server.asked]
    assert [1, 2] == [len(item.split(",")) for item in actions]
    client._gate.authorization.header = f"Bearer {_expired_token(token_server, 'wider/tiny')}"
    assert stored == client.fetch_manifest("v1")
    assert 3 == len(token_server.asked)


def _expired_token(token_server: TokenServer, name: str) -> str:
    lifetime_s, token_server.lifetime_s = token_server.lifetime_s, -LEEWAY_S - 5
    try:
        return token_server.token([f"repository:{name}:pull"], is_known=True)
    finally:
        token_server.lifetime_s = lifetime_s


@pytest.mark.registry
def test_a_refresh_token(
    make_store: MakeStore, real_registry_with_tokens: str, docker_config: Path, gguf: Path
) -> None:
    """An identity token is exchanged for a token with the scope that is wanted."""
    reference = package(make_store("one"), f"{real_registry_with_tokens}/refresh/tiny:v1", gguf)
    entry = {"auth": auth("<token>:"), "identitytoken": "refresh me"}
    write_login(docker_config, reference.registry, **entry)

    digest = make_store("one").push(reference, ignore)

    assert digest == make_store("two").pull(reference, ignore).digest
    write_login(docker_config, reference.registry, **(entry | {"identitytoken": "wrong"}))
    with pytest.raises(AccessDeniedError):
        make_store("one").push(reference, ignore)


@pytest.mark.registry
def test_a_private_authority(
    make_store: MakeStore, real_registry_with_tls: str, authority: Path, gguf: Path
) -> None:
    """With the authority's file for the host, TLS and the login work; without, it is said."""
    host = real_registry_with_tls
    hosts = {host: HostOptions(ca_file=str(authority / "ca.pem"))}
    store = make_store("one", hosts=hosts)
    reference = package(store, f"{host}/tls/tiny:v1", gguf)

    store.log_in(host, username="alice", password="s3cret")
    digest = store.push(reference, ignore)
    assert digest == make_store("two", hosts=hosts).pull(reference, ignore).digest

    other = {host: HostOptions(ca_file=str(authority / "cert.pem"))}
    with pytest.raises(TransferError, match="`ca_file`"):
        make_store("three", hosts=other).pull(reference, ignore)


def test_a_missing_file_of_authorities_is_named(make_store: MakeStore, tmp_path: Path) -> None:
    """The error names the setting, with the host."""
    hosts = {"a.example": HostOptions(ca_file=str(tmp_path / "absent.pem"))}

    with pytest.raises(ConfigError, match=r'hosts\."a\.example"\.ca_file: there is no'):
        make_store(hosts=hosts).resolve_remote(Reference.parse("a.example/x"))


@pytest.fixture
def proxy(registry: FakeRegistry, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeRegistry]:
    """The fake registry in the part of a proxy, which the environment names."""
    monkeypatch.delenv("NO_PROXY")
    monkeypatch.setenv("HTTP_PROXY", f"http://{registry.host}")
    monkeypatch.setenv("http_proxy", f"http://{registry.host}")
    return registry


def test_a_proxy(make_store: MakeStore, proxy: FakeRegistry) -> None:
    """Requests to others go through the proxy of the environment."""
    proxy.fault("GET", "", lambda handler: handler.reply(404))

    with pytest.raises(Exception, match=r"registry\.test has no model"):
        make_store(insecure_hosts=("registry.test",)).resolve_remote(
            Reference.parse("registry.test/ai/x")
        )
    assert ["http://registry.test/v2/ai/x/manifests/latest"] == [seen.path for seen in proxy.seen]


def test_hosts_without_the_proxy(
    make_store: MakeStore,
    proxy: FakeRegistry,
    other_registry: FakeRegistry,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Neither loopback nor what NO_PROXY names goes through the proxy."""
    other_registry.add()
    make_store().pull(other_registry.reference(), ignore)
    monkeypatch.setenv("NO_PROXY", "registry.invalid")
    store = _impatient(make_store, insecure_hosts=("registry.invalid",))
    with pytest.raises(TransferError, match="cannot be reached"):
        store.resolve_remote(Reference.parse("registry.invalid/ai/x"))

    assert [] == proxy.seen


def _impatient(make_store: MakeStore, **options: Any) -> OciStore:
    """A store that gives up at once."""
    return make_store("impatient", backoff=Backoff(attempts=1), **options)
