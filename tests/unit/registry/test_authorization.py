"""Tests of `stoker_registry.authorization`: logins against a registry that wants them."""

from __future__ import annotations

import base64
import json
import time
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from stoker.digest import Digest
from stoker.errors import AccessDeniedError, ConfigError, TransferError
from stoker.manifest import Descriptor
from stoker.media_types import GGUF, OCI_MANIFEST
from stoker.store import StoredManifest
from stoker_registry.authorization import Challenge, parse_challenges
from stoker_registry.client import RepositoryClient
from stoker_registry.options import OciOptions

from .conftest import QUICK, FakeRegistry, Handler, MakeHelper, send_blob


def make_client(registry: FakeRegistry, name: str = "ai/tiny:v1") -> RepositoryClient:
    """A client that gives up soon."""
    return RepositoryClient(registry.reference(name), OciOptions(timeout_s=5.0), backoff=QUICK)


def basic(login: str) -> str:
    """The value of `Authorization` for user:password."""
    return "Basic " + base64.b64encode(login.encode()).decode()


def log_in(docker_config: Path, host: str, login: str = "alice:s3cret", **more: Any) -> None:
    """Write docker's config."""
    auth = base64.b64encode(login.encode()).decode()
    docker_config.write_text(json.dumps({"auths": {host: {"auth": auth, **more}}}))


def want_basic(registry: FakeRegistry, login: str = "alice:s3cret") -> None:
    """Make the registry want a login."""

    def guard(handler: Handler) -> bool:
        if handler.headers.get("Authorization") == basic(login):
            return False
        handler.body()
        handler.reply(401, headers={"WWW-Authenticate": 'Basic realm="basic-realm"'})
        return True

    for method in ("GET", "HEAD", "POST", "PUT"):
        registry.fault(method, "", guard)


class TokenServer:
    """Makes a registry want tokens, and gives them out at a second host."""

    def __init__(self, registry: FakeRegistry, tokens: FakeRegistry, login: str | None) -> None:
        self.registry = registry
        self.tokens = tokens
        self.login = login
        self.valid: dict[str, str] = {}
        for method in ("GET", "HEAD", "POST", "PUT"):
            registry.fault(method, "", self._guard)
        tokens.fault("GET", "^/token", self._give)
        tokens.fault("POST", "^/token", self._refresh)

    def _guard(self, handler: Handler) -> bool:
        if handler.path.startswith("/token"):
            return False
        name = handler.path.removeprefix("/v2/").partition("/blobs/")[0].partition("/manifests/")[0]
        actions = "pull" if handler.command in {"GET", "HEAD"} else "pull,push"
        wanted = f"repository:{name}:{actions}"
        token = (handler.headers.get("Authorization") or "").removeprefix("Bearer ")
        have = self.valid.get(token, "")
        if have in {wanted, f"{wanted},push"}:
            return False
        handler.body()
        realm = f"http://{self.tokens.host}/token?fixed=1"
        challenge = f'Bearer realm="{realm}",service="test registry",scope="{wanted}"'
        if have:
            challenge += ',error="insufficient_scope"'
        handler.reply(401, headers={"WWW-Authenticate": challenge})
        return True

    def _issue(self, handler: Handler, scope: str, key: str) -> bool:
        token = f"token{len(self.valid)}"
        self.valid[token] = scope
        handler.reply(200, json.dumps({key: token, "expires_in": 60}).encode())
        return True

    def _give(self, handler: Handler) -> bool:
        query = parse_qs(urlsplit(handler.path).query)
        assert ["test registry"] == query["service"]
        assert ["1"] == query["fixed"]
        if self.login is not None and handler.headers.get("Authorization") != basic(self.login):
            handler.reply(401)
            return True
        return self._issue(handler, query["scope"][0], "token")

    def _refresh(self, handler: Handler) -> bool:
        form = parse_qs(handler.body().decode())
        assert ["refresh_token"] == form["grant_type"]
        if form["refresh_token"] != ["refresh me"]:
            handler.reply(401)
            return True
        return self._issue(handler, form["scope"][0], "access_token")


def test_challenges_are_parsed() -> None:
    """Schemes and parameters are found, quoted or not, also when several stand in one header."""

    assert (
        Challenge(
            "bearer",
            {"realm": "https://a/t?x=1,2", "service": "s", "scope": "repository:a/b:pull,push"},
        ),
    ) == parse_challenges(
        'Bearer realm="https://a/t?x=1,2", service=s, scope="repository:a/b:pull,push"'
    )
    assert ["negotiate", "basic"] == [
        item.scheme for item in parse_challenges('Negotiate x=1, BASIC realm="a \\"b\\""')
    ]
    assert 'a "b"' == parse_challenges('Basic realm="a \\"b\\""')[0].parameters["realm"]
    assert (Challenge("negotiate", {}),) == parse_challenges("Negotiate")
    assert () == parse_challenges("")


def test_basic_login(registry: FakeRegistry, docker_config: Path) -> None:
    """A login from docker's config is sent when it is asked for, and kept for what follows."""
    registry.add()
    want_basic(registry)
    log_in(docker_config, registry.host)
    client = make_client(registry)

    client.fetch_manifest("v1")
    client.fetch_manifest("v1")

    assert [None, basic("alice:s3cret"), basic("alice:s3cret")] == [
        seen.headers.get("Authorization") for seen in registry.seen
    ]


def test_a_wrong_password_fails_at_once(registry: FakeRegistry, docker_config: Path) -> None:
    """A refused login is not tried again, and the error says whose login it was."""
    want_basic(registry)
    log_in(docker_config, registry.host, "alice:wrong")
    started_s = time.monotonic()

    with pytest.raises(AccessDeniedError, match="refused the login of 'alice'"):
        make_client(registry).fetch_manifest("v1")
    assert 2 == len(registry.seen)
    assert time.monotonic() - started_s < 1


@pytest.mark.parametrize("scheme", ["Basic", "Bearer"])
def test_no_login(registry: FakeRegistry, other_registry: FakeRegistry, scheme: str) -> None:
    """Without a login the error says how to get one, and nothing is sent anywhere."""
    if scheme == "Basic":
        want_basic(registry)
    else:
        TokenServer(registry, other_registry, "alice:s3cret")

    with pytest.raises(AccessDeniedError, match=f"stoker login {registry.host}"):
        make_client(registry).fetch_manifest("v1")


def test_a_login_for_another_host_stays(
    registry: FakeRegistry, other_registry: FakeRegistry, docker_config: Path
) -> None:
    """A registry is never shown the login of another one, and neither is its token server."""
    want_basic(registry)
    log_in(docker_config, other_registry.host)

    with pytest.raises(AccessDeniedError):
        make_client(registry).fetch_manifest("v1")
    assert {None} == {seen.headers.get("Authorization") for seen in registry.seen}


@pytest.mark.parametrize("key", ["credsStore", "credHelpers"])
def test_the_login_of_a_credential_helper(
    registry: FakeRegistry, docker_config: Path, make_helper: MakeHelper, key: str
) -> None:
    """A login that a credential helper keeps is asked for and sent."""
    registry.add()
    want_basic(registry)
    make_helper("safe", {registry.host: ("alice", "s3cret")})
    value: Any = "safe" if key == "credsStore" else {registry.host: "safe"}
    docker_config.write_text(json.dumps({"auths": {registry.host: {}}, key: value}))

    assert OCI_MANIFEST == make_client(registry).fetch_manifest("v1").media_type


def test_a_helper_that_fails_is_named_when_it_matters(
    registry: FakeRegistry, other_registry: FakeRegistry, docker_config: Path
) -> None:
    """A public model comes without it; where a login is wanted the reason is given."""
    registry.add()
    docker_config.write_text(json.dumps({"credsStore": "absent"}))
    TokenServer(registry, other_registry, None)
    assert OCI_MANIFEST == make_client(registry).fetch_manifest("v1").media_type

    want_basic(other_registry)
    with pytest.raises(AccessDeniedError, match="docker-credential-absent is not installed"):
        make_client(other_registry).fetch_manifest("v1")


def test_a_registry_token(
    registry: FakeRegistry, other_registry: FakeRegistry, docker_config: Path
) -> None:
    """A bearer token for the registry itself goes there and nowhere else."""
    registry.add()
    TokenServer(registry, other_registry, None).valid["mine"] = "repository:ai/tiny:pull"
    docker_config.write_text(json.dumps({"auths": {registry.host: {"registrytoken": "mine"}}}))

    assert OCI_MANIFEST == make_client(registry).fetch_manifest("v1").media_type
    assert [] == other_registry.seen


def test_anonymous_token(registry: FakeRegistry, other_registry: FakeRegistry) -> None:
    """A public model needs a token, but no login."""
    registry.add()
    TokenServer(registry, other_registry, None)

    assert OCI_MANIFEST == make_client(registry).fetch_manifest("v1").media_type
    assert [None] == [seen.headers.get("Authorization") for seen in other_registry.seen]


def test_token_with_login(
    registry: FakeRegistry, other_registry: FakeRegistry, docker_config: Path
) -> None:
    """The password goes to the token server only, the token to the registry only."""
    registry.add()
    TokenServer(registry, other_registry, "alice:s3cret")
    log_in(docker_config, registry.host)

    make_client(registry).fetch_manifest("v1")

    assert [None, "Bearer token0"] == [seen.headers.get("Authorization") for seen in registry.seen]
    assert [basic("alice:s3cret")] == [
        seen.headers.get("Authorization") for seen in other_registry.seen
    ]


def test_push_after_pull_gets_a_wider_token(
    registry: FakeRegistry, other_registry: FakeRegistry, tmp_path: Path
) -> None:
    """A token for reading is replaced when writing is asked for, and serves what follows."""
    TokenServer(registry, other_registry, None)
    (tmp_path / "x").write_bytes(b"weights")
    client = make_client(registry)

    send_blob(client, tmp_path / "x", Descriptor(GGUF, Digest.of(b"weights"), 7))
    client.upload_manifest(StoredManifest(OCI_MANIFEST, Digest.of(b"{}"), b"{}"), "v1")

    assert b"weights" == registry.blobs[str(Digest.of(b"weights"))]
    assert 2 == len(other_registry.seen)


def test_a_token_server_on_the_registrys_own_host(
    registry: FakeRegistry, docker_config: Path, tmp_path: Path
) -> None:
    """A second token is asked for with the password, not with the first token."""
    TokenServer(registry, registry, "alice:s3cret")
    log_in(docker_config, registry.host)
    (tmp_path / "x").write_bytes(b"weights")

    send_blob(make_client(registry), tmp_path / "x", Descriptor(GGUF, Digest.of(b"weights"), 7))

    assert b"weights" == registry.blobs[str(Digest.of(b"weights"))]
    assert [basic("alice:s3cret")] * 2 == [
        seen.headers.get("Authorization") for seen in registry.seen if "/token" in seen.path
    ]


def test_an_expired_token_is_renewed(registry: FakeRegistry, other_registry: FakeRegistry) -> None:
    """A token that the registry takes no longer is fetched anew, once."""
    registry.add()
    server = TokenServer(registry, other_registry, None)
    client = make_client(registry)
    client.fetch_manifest("v1")
    server.valid["token0"] = "expired"

    assert OCI_MANIFEST == client.fetch_manifest("v1").media_type
    assert 2 == len(other_registry.seen)


def test_a_token_that_never_suffices(registry: FakeRegistry, other_registry: FakeRegistry) -> None:
    """A registry that takes no token at all is given up, not asked for ever."""
    server = TokenServer(registry, other_registry, None)
    server.valid = _Forgetful()

    with pytest.raises(AccessDeniedError):
        make_client(registry).fetch_manifest("v1")
    assert 1 == len(other_registry.seen)


class _Forgetful(dict[str, str]):
    def get(self, key: str, default: Any = None) -> Any:
        return default


def test_identity_token(
    registry: FakeRegistry, other_registry: FakeRegistry, docker_config: Path
) -> None:
    """An OAuth2 refresh token of docker's config is exchanged for a token."""
    registry.add()
    TokenServer(registry, other_registry, "alice:s3cret")
    log_in(docker_config, registry.host, "<token>:", identitytoken="refresh me")

    assert OCI_MANIFEST == make_client(registry).fetch_manifest("v1").media_type
    assert ["POST"] == [seen.method for seen in other_registry.seen]


@pytest.mark.parametrize(
    "answer", [b"{}", b"nonsense", b'{"token":"a\\nX-Evil: 1"}', b'{"token":1}']
)
def test_nonsense_instead_of_a_token(
    registry: FakeRegistry, other_registry: FakeRegistry, answer: bytes
) -> None:
    """A token server that answers nonsense is a transfer error."""
    TokenServer(registry, other_registry, None)
    other_registry.faults.clear()
    other_registry.fault("GET", "", lambda h: h.reply(200, answer))

    with pytest.raises(TransferError, match="token server"):
        make_client(registry).fetch_manifest("v1")


def test_a_token_server_in_the_open_is_refused(registry: FakeRegistry, docker_config: Path) -> None:
    """A password is not sent to a distant token server without encryption."""
    log_in(docker_config, registry.host)
    registry.fault(
        "GET",
        "",
        lambda h: h.reply(
            401, headers={"WWW-Authenticate": 'Bearer realm="http://auth.example/token"'}
        ),
    )

    with pytest.raises(TransferError, match="not encrypted"):
        make_client(registry).fetch_manifest("v1")


def test_an_unknown_kind_of_login(registry: FakeRegistry) -> None:
    """A registry that wants a login of another kind is named with that kind."""
    registry.fault("GET", "", lambda h: h.reply(401, headers={"WWW-Authenticate": "Negotiate"}))

    with pytest.raises(AccessDeniedError, match="negotiate"):
        make_client(registry).fetch_manifest("v1")


def test_a_broken_docker_config_is_named(registry: FakeRegistry, docker_config: Path) -> None:
    """The file that cannot be understood stands in the error."""
    want_basic(registry)
    docker_config.write_text("{")

    with pytest.raises(ConfigError, match=r"config\.json"):
        make_client(registry).fetch_manifest("v1")
