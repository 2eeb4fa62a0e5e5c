"""Tests of `stoker_registry.client`, against a registry that misbehaves."""

from __future__ import annotations

import gzip
import json
import time
from pathlib import Path
from typing import Any

import pytest

from stoker.digest import Digest
from stoker.errors import (
    AccessDeniedError,
    ConfigError,
    IntegrityError,
    InvalidArtifactError,
    ModelNotFoundError,
    OperationCancelledError,
    TransferError,
)
from stoker.manifest import Descriptor
from stoker.media_types import GGUF, OCI_MANIFEST, MediaType
from stoker.store import Progress, StoredManifest
from stoker.wire.manifest import MAX_MANIFEST_BYTES
from stoker_registry.backoff import Backoff
from stoker_registry.client import RepositoryClient
from stoker_registry.options import OciOptions

from .conftest import QUICK, FakeRegistry, Handler, fetch_blob, send_blob

BLOB = b"weights" * 50_000


def make_client(registry: FakeRegistry, **options: Any) -> RepositoryClient:
    """A client of ai/tiny that gives up soon."""
    return RepositoryClient(
        registry.reference(), OciOptions(**{"timeout_s": 5.0, **options}), backoff=QUICK
    )


def blob(data: bytes = BLOB, *, size_bytes: int | None = None) -> Descriptor:
    """A descriptor of bytes."""
    return Descriptor(GGUF, Digest.of(data), len(data) if size_bytes is None else size_bytes)


def fetch(client: RepositoryClient, tmp_path: Path, descriptor: Descriptor) -> int:
    """Fetch a blob; returns its size."""
    return len(fetch_blob(client, tmp_path, descriptor))


def files(folder: Path) -> list[str]:
    """The names of all files below a folder."""
    return sorted(path.name for path in folder.rglob("*") if path.is_file())


def test_blob_is_fetched(registry: FakeRegistry, tmp_path: Path) -> None:
    """A blob arrives whole, is asked for uncompressed, and its progress is reported."""
    registry.add_blob(BLOB)
    seen: list[Progress] = []

    assert BLOB == fetch_blob(make_client(registry), tmp_path, blob(), seen.append)
    done = Progress("pulling", "blob", len(BLOB), len(BLOB), digest=blob().digest)
    assert done == seen[-1]
    assert sorted(seen, key=lambda progress: progress.done_bytes) == seen
    assert "identity" == registry.seen[-1].headers["Accept-Encoding"]
    assert [blob().digest.encoded] == files(tmp_path)


def corrupt(handler: Handler) -> None:
    """Other bytes of the same length."""
    handler.reply(200, b"W" + BLOB[1:])


def short(handler: Handler) -> None:
    """A whole answer, but too short."""
    handler.reply(200, BLOB[:-1])


def long(handler: Handler) -> None:
    """A whole answer, but too long."""
    handler.reply(200, BLOB + b"x")


def chunks(handler: Handler, data: bytes) -> None:
    """An answer that announces no length."""
    handler.send_response(200)
    handler.send_header("Transfer-Encoding", "chunked")
    handler.end_headers()
    handler.wfile.write(f"{len(data):x}\r\n".encode() + data + b"\r\n0\r\n\r\n")


def absurd(handler: Handler) -> None:
    """A length that no number type holds."""
    handler.reply(200, BLOB, {"Content-Length": "9" * 5000})


def endless(handler: Handler) -> None:
    """More than the blob, without saying how much."""
    chunks(handler, BLOB * 2)


def short_chunks(handler: Handler) -> None:
    """Less than the blob, without saying how much."""
    chunks(handler, BLOB[:10])


def compressed(handler: Handler) -> None:
    """The right bytes, compressed although nobody allowed it."""
    handler.reply(200, gzip.compress(BLOB), {"Content-Encoding": "gzip"})


@pytest.mark.parametrize(
    "fault",
    [corrupt, short, long, absurd, endless, short_chunks, compressed],
    ids=lambda fault: fault.__name__,
)
def test_wrong_bytes_are_refused(registry: FakeRegistry, tmp_path: Path, fault: Any) -> None:
    """Bytes that are not the blob are an integrity error at once, and nothing of them is left."""
    registry.fault("GET", "/blobs/", fault)

    with pytest.raises(IntegrityError, match="sha256:"):
        fetch(make_client(registry), tmp_path, blob())
    assert 1 == len(registry.seen)
    assert [] == files(tmp_path / "blobs")


def test_small_blobs_are_checked_too(registry: FakeRegistry) -> None:
    """A config that is not the one asked for, or is no small one, is refused."""
    registry.fault("GET", "/blobs/", corrupt)
    client = make_client(registry)

    with pytest.raises(IntegrityError):
        client.fetch_bytes(blob(), limit_bytes=len(BLOB))
    with pytest.raises(InvalidArtifactError, match="should be small"):
        client.fetch_bytes(blob(), limit_bytes=10)


def test_a_cut_connection_is_tried_again(registry: FakeRegistry, tmp_path: Path) -> None:
    """A transfer that breaks off starts anew, and its first half does not spoil the second."""
    registry.add_blob(BLOB)
    left = [1, 1]
    registry.fault(
        "GET", "/blobs/", lambda h: h.cut(BLOB[:1000], len(BLOB)) if left and left.pop() else False
    )

    assert len(BLOB) == fetch(make_client(registry), tmp_path, blob())
    assert 3 == len(registry.seen)


def test_a_connection_that_stays_cut_is_an_error(registry: FakeRegistry, tmp_path: Path) -> None:
    """After the last attempt the error names the registry, and nothing is left."""
    registry.fault("GET", "/blobs/", lambda handler: handler.cut(BLOB[:1000], len(BLOB)))

    with pytest.raises(TransferError, match=registry.host):
        fetch(make_client(registry), tmp_path, blob())
    assert QUICK.attempts == len(registry.seen)
    assert [] == files(tmp_path / "blobs")


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504])
def test_overload_is_tried_again(registry: FakeRegistry, status: int) -> None:
    """An overloaded registry is asked again, no sooner than it wants."""
    registry.add()
    left = [1]
    registry.fault(
        "GET",
        "",
        lambda h: h.reply(status, headers={"Retry-After": "1"}) if left and left.pop() else False,
    )
    client = RepositoryClient(
        registry.reference(), OciOptions(), backoff=Backoff(attempts=2, max_delay_s=0.3)
    )
    started_s = time.monotonic()

    assert OCI_MANIFEST == client.fetch_manifest("v1").media_type
    assert 0.3 <= time.monotonic() - started_s < 3


def test_overload_that_stays_is_an_error(registry: FakeRegistry) -> None:
    """The error of the last attempt has the registry's own words, made harmless."""
    body = b'{"errors":[{"code":"TOOMANYREQUESTS","message":"slow\\u001b[2Jdown"}]}'
    registry.fault("GET", "", lambda handler: handler.reply(429, body))

    with pytest.raises(TransferError, match=r"429 \(slow \[2Jdown\)"):
        make_client(registry).fetch_manifest("v1")
    assert QUICK.attempts == len(registry.seen)


def test_other_failures_are_not_tried_again(registry: FakeRegistry) -> None:
    """A refusal that will not change is reported at once, even if its body is nonsense."""
    registry.fault("GET", "", lambda handler: handler.reply(400, b"<html>"))

    with pytest.raises(TransferError, match="answered 400"):
        make_client(registry).fetch_manifest("v1")
    assert 1 == len(registry.seen)


def test_nobody_there(registry: FakeRegistry) -> None:
    """A registry that does not listen is a transfer error with its name, in words for people."""
    client = make_client(registry)
    registry.close()

    with pytest.raises(TransferError) as caught:
        client.fetch_manifest("v1")
    assert (
        f"{registry.host} cannot be reached: Failed to establish a new connection: Connection"
        " refused." == str(caught.value)
    )


def test_a_registry_that_stands_still(registry: FakeRegistry) -> None:
    """A registry that accepts and never answers is given up after the timeout."""
    registry.fault("GET", "", lambda handler: time.sleep(0.5))
    started_s = time.monotonic()

    with pytest.raises(TransferError, match="stopped answering"):
        make_client(registry, timeout_s=0.1).fetch_manifest("v1")
    assert time.monotonic() - started_s < 3


def test_a_wait_can_be_given_up(registry: FakeRegistry) -> None:
    """While the client waits to try again, its heartbeat can end the operation."""

    def give_up() -> None:
        raise OperationCancelledError("Nobody waits any more.")

    registry.fault("GET", "", lambda handler: handler.reply(503, headers={"Retry-After": "600"}))
    client = RepositoryClient(registry.reference(), OciOptions(), heartbeat=give_up)

    with pytest.raises(OperationCancelledError):
        client.fetch_manifest("v1")


def test_redirects_are_followed_without_the_login(
    registry: FakeRegistry, other_registry: FakeRegistry, docker_config: Path, tmp_path: Path
) -> None:
    """A blob may live on another host, which gets neither the login nor a token."""
    auth = {"auth": "YWxpY2U6czNjcmV0"}
    docker_config.write_text(json.dumps({"auths": {registry.host: auth}}))
    other_registry.add_blob(BLOB)

    def guard(handler: Handler) -> bool:
        if handler.headers.get("Authorization") != "Basic YWxpY2U6czNjcmV0":
            handler.reply(401, headers={"WWW-Authenticate": 'Basic realm="r"'})
        else:
            url = f"http://{other_registry.host}/v2/x/blobs/{Digest.of(BLOB)}"
            handler.reply(307, headers={"Location": url})
        return True

    registry.fault("GET", "/blobs/", guard)

    assert len(BLOB) == fetch(make_client(registry), tmp_path, blob())
    assert "Authorization" in registry.seen[-1].headers
    assert [False] == ["Authorization" in seen.headers for seen in other_registry.seen]


@pytest.mark.parametrize("method", ["GET", "PUT"])
def test_another_hosts_challenge_is_not_answered(
    registry: FakeRegistry,
    other_registry: FakeRegistry,
    docker_config: Path,
    tmp_path: Path,
    method: str,
) -> None:
    """A host that we were sent to cannot have the registry's login sent to its token server."""
    auth = {"auth": "YWxpY2U6czNjcmV0"}
    docker_config.write_text(json.dumps({"auths": {registry.host: auth}}))
    realm = f'Bearer realm="http://{other_registry.host}/token"'
    away = {"Location": f"http://{other_registry.host}/away"}
    registry.fault("GET", "/blobs/", lambda h: h.reply(307, headers=away))
    registry.fault("POST", "", lambda h: h.reply(202, headers=away))
    other_registry.fault(
        method, "", lambda h: (h.body(), h.reply(401, headers={"WWW-Authenticate": realm}))
    )

    def transfer() -> None:
        if method == "GET":
            fetch(make_client(registry), tmp_path, blob())
        else:
            upload(make_client(registry), tmp_path / "x")

    with pytest.raises(TransferError, match="a login of its own"):
        transfer()
    assert [None] == [seen.headers.get("Authorization") for seen in other_registry.seen]


def test_netrc_is_not_read(
    registry: FakeRegistry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A login that somebody keeps in ~/.netrc for this host is not sent to it."""
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login bob password hidden\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    registry.add()

    make_client(registry).fetch_manifest("v1")

    assert "Authorization" not in registry.seen[-1].headers


@pytest.mark.parametrize(
    "url",
    ["http://registry.example/x", "ftp://registry.example/x", "file:///etc/passwd", "http://x]"],
)
def test_redirects_into_the_open_are_refused(registry: FakeRegistry, url: str) -> None:
    """A redirect to an unencrypted distant host, or to no host at all, is not followed."""
    registry.fault("GET", "", lambda handler: handler.reply(302, headers={"Location": url}))

    with pytest.raises(TransferError, match=r"not encrypted|nonsense"):
        make_client(registry).fetch_manifest("v1")


def test_redirects_in_circles_end(registry: FakeRegistry) -> None:
    """A registry that sends us round and round is given up."""
    registry.fault("GET", "", lambda handler: handler.reply(302, headers={"Location": "/v2/a"}))

    with pytest.raises(TransferError, match="circles"):
        make_client(registry).fetch_manifest("v1")
    assert len(registry.seen) < 10


def test_manifest_is_fetched_by_tag_and_by_digest(registry: FakeRegistry) -> None:
    """A manifest comes byte for byte, and every type is asked for."""
    registry.add()
    _, data = registry.manifests["ai/tiny", "v1"]
    stored = make_client(registry).fetch_manifest("v1")

    assert StoredManifest(OCI_MANIFEST, Digest.of(data), data) == stored
    assert stored == make_client(registry).fetch_manifest(stored.digest)
    accept = registry.seen[-1].headers["Accept"]
    assert "vnd.oci.image.index.v1+json" in accept
    assert "vnd.docker.distribution.manifest.v2+json" in accept


def test_a_missing_manifest_is_not_found(registry: FakeRegistry) -> None:
    """The error says which registry has no such model, and carries its familiar name."""
    with pytest.raises(ModelNotFoundError, match=registry.host) as caught:
        make_client(registry).fetch_manifest("v2")

    assert registry.reference().familiar == caught.value.model


def test_a_manifest_under_a_wrong_digest_is_refused(registry: FakeRegistry) -> None:
    """The bytes are checked, against what was asked for and against what was announced."""
    registry.add()
    wrong = Digest.of(b"something else")
    registry.manifests["ai/tiny", str(wrong)] = registry.manifests["ai/tiny", "v1"]
    client = make_client(registry)

    with pytest.raises(IntegrityError):
        client.fetch_manifest(wrong)

    registry.fault(
        "GET", "/v1$", lambda h: h.reply(200, b"{}", {"Docker-Content-Digest": str(wrong)})
    )
    with pytest.raises(IntegrityError):
        client.fetch_manifest("v1")


def test_a_gigantic_manifest_is_refused(registry: FakeRegistry) -> None:
    """Past the limit, a manifest is not even read to its end."""
    registry.add_manifest(b" " * (2 * MAX_MANIFEST_BYTES))

    with pytest.raises(InvalidArtifactError, match="larger than"):
        make_client(registry).fetch_manifest("v1")


def test_a_lost_blob_is_a_transfer_error(registry: FakeRegistry, tmp_path: Path) -> None:
    """A blob that the registry's own manifest names, but it has not, is named."""
    with pytest.raises(TransferError, match="has lost blob"):
        fetch(make_client(registry), tmp_path, blob())


def upload(client: RepositoryClient, path: Path, **more: Any) -> None:
    """Send BLOB."""
    path.write_bytes(BLOB)
    send_blob(client, path, blob(), **more)


def test_blob_is_sent(registry: FakeRegistry, tmp_path: Path) -> None:
    """A blob is streamed to where the registry says, whose own query stays as it was."""
    upload(make_client(registry), tmp_path / "x")

    assert BLOB == registry.blobs[str(blob().digest)]
    assert ["HEAD", "POST", "PUT"] == [seen.method for seen in registry.seen]
    assert f"?_state=a%3D%3D&empty=&digest={blob().digest}" in registry.seen[-1].path
    assert str(len(BLOB)) == registry.seen[-1].headers["Content-Length"]


def test_an_empty_blob_is_sent(registry: FakeRegistry, tmp_path: Path) -> None:
    """A blob of no bytes has a length too."""
    (tmp_path / "empty").touch()
    send_blob(make_client(registry), tmp_path / "empty", blob(b""))

    assert b"" == registry.blobs[str(Digest.of(b""))]


def test_a_blob_that_is_there_is_not_sent(registry: FakeRegistry, tmp_path: Path) -> None:
    """One question is all that a known blob costs."""
    registry.add_blob(BLOB)
    upload(make_client(registry), tmp_path / "x")

    assert ["HEAD"] == [seen.method for seen in registry.seen]


def test_a_blob_can_be_mounted(registry: FakeRegistry, tmp_path: Path) -> None:
    """A registry that has the blob in another repository may answer 201, and gets no bytes."""
    registry.fault("POST", "mount=sha256:.*&from=ai%2Fother", lambda handler: handler.reply(201))
    upload(make_client(registry), tmp_path / "x", mount_from="ai/other")

    assert ["HEAD", "POST"] == [seen.method for seen in registry.seen]


def test_an_upload_is_tried_again(registry: FakeRegistry, tmp_path: Path) -> None:
    """An upload that is cut off starts anew, from the first byte."""
    left = [1]

    def cut(handler: Handler) -> bool:
        if not left:
            return False
        left.pop()
        handler.close_connection = True
        handler.connection.close()
        return True

    registry.fault("PUT", "", cut)
    upload(make_client(registry), tmp_path / "x")

    assert BLOB == registry.blobs[str(blob().digest)]


def test_an_upload_that_is_refused(registry: FakeRegistry, tmp_path: Path) -> None:
    """The registry's reason is passed on."""
    body = b'{"errors":[{"code":"DENIED","message":"quota exceeded"}]}'
    registry.fault("PUT", "", lambda h: h.body() and h.reply(413, body))

    with pytest.raises(TransferError, match="quota exceeded"):
        upload(make_client(registry), tmp_path / "x")


@pytest.mark.parametrize(
    "answer",
    [
        (202, {}),
        (200, {}),
        (404, {}),
        (302, {"Location": "/x"}),
        (202, {"Location": "http://[::1"}),
        (202, {"Location": "http://registry.example/x"}),
    ],
)
def test_nonsense_instead_of_an_upload(
    registry: FakeRegistry, tmp_path: Path, answer: tuple[int, dict[str, str]]
) -> None:
    """A registry that starts no proper upload is an error, and gets no bytes."""
    registry.fault("POST", "", lambda handler: handler.reply(answer[0], headers=answer[1]))

    with pytest.raises(TransferError, match=registry.host):
        upload(make_client(registry), tmp_path / "x")
    assert "PUT" not in {seen.method for seen in registry.seen}


def test_manifest_is_sent_byte_for_byte(registry: FakeRegistry) -> None:
    """A manifest is sent as it is, with its own media type."""
    data = b'{ "schemaVersion" : 2 }'
    media_type = MediaType("application/vnd.docker.distribution.manifest.v2+json")
    make_client(registry).upload_manifest(StoredManifest(media_type, Digest.of(data), data), "v9")

    assert (str(media_type), data) == registry.manifests["ai/tiny", "v9"]


def test_a_forbidden_push_is_denied(registry: FakeRegistry) -> None:
    """403 means that a login will not help, and the registry's words say why."""
    registry.fault("PUT", "", lambda h: h.body() and h.reply(403))

    with pytest.raises(AccessDeniedError, match="does not allow this"):
        make_client(registry).upload_manifest(
            StoredManifest(OCI_MANIFEST, Digest.of(b"{}"), b"{}"), "v1"
        )


def test_a_missing_file_of_authorities(registry: FakeRegistry) -> None:
    """The setting is named that leads nowhere."""
    with pytest.raises(ConfigError, match="ca_file"):
        make_client(registry, ca_file="/absent.pem")


def test_cookies_are_ignored(registry: FakeRegistry) -> None:
    """A registry that sets a cookie gets none back."""
    registry.add()
    registry.fault("GET", "/v1$", lambda h: h.reply(404, headers={"Set-Cookie": "sid=1; Path=/"}))
    client = make_client(registry)

    for _ in range(2):
        with pytest.raises(ModelNotFoundError):
            client.fetch_manifest("v1")
    assert "Cookie" not in registry.seen[-1].headers


def test_answers_that_are_no_http(registry: FakeRegistry) -> None:
    """Bytes that are no HTTP at all are a transfer error."""
    registry.fault("GET", "", lambda handler: handler.wfile.write(b"SSH-2.0-OpenSSH\r\n"))

    with pytest.raises(TransferError, match=registry.host):
        make_client(registry).fetch_manifest("v1")


def test_tls_where_none_is_spoken(registry: FakeRegistry) -> None:
    """A registry that does not speak TLS, and is not on loopback, is told so."""
    # The unspecified address reaches loopback, but is not known as such.
    reference = registry.reference()
    port = registry.host.partition(":")[2]
    client = RepositoryClient(
        type(reference)(f"0.0.0.0:{port}", reference.repository, "v1"), OciOptions(), backoff=QUICK
    )

    with pytest.raises(TransferError, match="encrypted connection"):
        client.fetch_manifest("v1")


def test_tls_with_a_private_authority(registry: FakeRegistry, tmp_path: Path) -> None:
    """A certificate counts when its authority is the system's or the configured one."""
    registry.add()
    host = f"0.0.0.0:{registry.speak_tls(tmp_path)}"
    reference = type(registry.reference())(host, "ai/tiny", "v1")
    trusting = OciOptions(ca_file=str(tmp_path / "cert.pem"))

    assert OCI_MANIFEST == RepositoryClient(reference, trusting).fetch_manifest("v1").media_type
    with pytest.raises(TransferError, match=r"certificate.*ca_file"):
        RepositoryClient(reference, OciOptions()).fetch_manifest("v1")


def test_hosts_can_be_allowed_in_plain_http(registry: FakeRegistry) -> None:
    """A host that the operator names is spoken to in plain http."""
    registry.add()
    host = f"0.0.0.0:{registry.host.partition(':')[2]}"
    reference = type(registry.reference())(host, "ai/tiny", "v1")
    client = RepositoryClient(reference, OciOptions(insecure_hosts=(host,)), backoff=QUICK)

    assert OCI_MANIFEST == client.fetch_manifest("v1").media_type
