"""Shared parts: tiny GGUF files, stores, an in-process registry, and Debian's real ones."""

from __future__ import annotations

import http.server
import json
import math
import os
import re
import socket
import ssl
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import attrs
import pytest
import trustme
from crane_registry import crane_registry
from debian_registry import debian_registry
from gguf_file import gguf_bytes
from programs import need, want
from token_server import TokenServer

from stoker.digest import Digest
from stoker.formats import FormatTable
from stoker.manifest import Descriptor, Manifest
from stoker.media_types import GGUF, OCI_MANIFEST, MediaType
from stoker.reference import Reference
from stoker.store import Progress, ReportProgress, StoreContext
from stoker.wire.manifest import encode_manifest
from stoker_registry.backoff import Backoff
from stoker_registry.blobs import BlobDirectory
from stoker_registry.client import RepositoryClient
from stoker_registry.download import Download
from stoker_registry.fetching import Fetching, WantedBlob
from stoker_registry.formats import FORMAT_RULES
from stoker_registry.options import OciOptions
from stoker_registry.partials import PartialDirectory
from stoker_registry.store import OciStore
from stoker_registry.upload import BlobToSend, Upload

QUICK = Backoff(attempts=3, first_delay_s=0.01, max_delay_s=0.05)
DOCKER_CONFIG_TYPE = MediaType("application/vnd.docker.ai.model.config.v0.1+json")


def ignore(_progress: Progress) -> None:
    """Take a report of progress and do nothing with it."""


@pytest.fixture(autouse=True)
def docker_config(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> Path:
    """An empty docker config, so that no test ever sees a developer's own logins."""
    folder = tmp_path_factory.mktemp("docker-config")
    monkeypatch.setenv("DOCKER_CONFIG", str(folder))
    monkeypatch.setenv("NO_PROXY", "*")
    return folder / "config.json"


MakeHelper = Callable[..., Path]

_HELPER = """#!{python}
import json, pathlib, sys
safe = pathlib.Path({safe!r})
logins = json.loads(safe.read_text())
text = sys.stdin.read().strip()
if sys.argv[1] == "store":
    entry = json.loads(text)
    logins[entry["ServerURL"]] = [entry["Username"], entry["Secret"]]
    safe.write_text(json.dumps(logins))
elif text not in logins:
    sys.exit("credentials not found in native keychain")
elif sys.argv[1] == "erase":
    del logins[text]
    safe.write_text(json.dumps(logins))
else:
    print(json.dumps(dict(zip(("Username", "Secret"), logins[text]), ServerURL=text)))
"""


@pytest.fixture
def make_helper(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> MakeHelper:
    """Makes credential helpers, by name and logins, and puts them into the path."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder), prepend=os.pathsep)

    def make(
        name: str, logins: Mapping[str, tuple[str, str]], *, script: str | None = None
    ) -> Path:
        safe = tmp_path / f"{name}.json"
        safe.write_text(json.dumps(logins))
        program = folder / f"docker-credential-{name}"
        program.write_text(
            f"#!/bin/sh\n{script}\n"
            if script
            else _HELPER.format(python=sys.executable, safe=str(safe))
        )
        program.chmod(0o755)
        return program

    return make


@pytest.fixture
def gguf(tmp_path: Path) -> Path:
    """A tiny GGUF file with the facts that configs carry."""
    path = tmp_path / "tiny.gguf"
    path.write_bytes(
        gguf_bytes(
            {
                "general.architecture": "llama",
                "general.name": "Tiny",
                "general.size_label": "8",
                "general.file_type": 15,
                "llama.context_length": 512,
                "tokenizer.ggml.tokens": ["a", "b", "c"],
            }
        )
    )
    return path


MakeStore = Callable[..., OciStore]


@pytest.fixture
def make_store(tmp_path: Path) -> MakeStore:
    """Makes stores on folders below the test's own, by name."""

    def make(name: str = "store", *, backoff: Backoff = QUICK, **options: Any) -> OciStore:
        context = StoreContext(
            tmp_path / name,
            OciOptions(**{"timeout_s": 5.0, **options}),
            FormatTable.of(FORMAT_RULES),
        )
        return OciStore(context, backoff=backoff)

    return make


@pytest.fixture
def store(make_store: MakeStore) -> OciStore:
    """An empty store."""
    return make_store()


def fetch_blob(
    client: RepositoryClient, folder: Path, descriptor: Descriptor, report: ReportProgress = ignore
) -> bytes:
    """Fetch a blob below a folder, as a store does; returns it, checked."""
    fetching = Fetching(
        PartialDirectory(folder / "partials"), BlobDirectory(folder / "blobs"), QUICK, 4
    )
    fetching.partials.directory.mkdir(exist_ok=True)
    fetching.blobs.directory.mkdir(exist_ok=True)
    Download(client.open_blob, fetching, report).run((WantedBlob(descriptor, "blob"),))
    return fetching.blobs.path(descriptor.digest).read_bytes()


def send_blob(
    client: RepositoryClient,
    path: Path,
    descriptor: Descriptor,
    report: ReportProgress = ignore,
    *,
    mount_from: str | None = None,
) -> None:
    """Send a blob, as a store does."""
    Upload(client, backoff=QUICK, connections=4, max_bytes_per_s=None, report=report).run(
        (BlobToSend(descriptor, path, "blob", mount_from),)
    )


# An in-process registry ---------------------------------------------------------------------


@attrs.frozen
class Seen:
    """A request that the registry saw."""

    method: str
    path: str
    headers: Mapping[str, str]


_SENT_AT_ONCE_BYTES = 64 * 1024


class Handler(http.server.BaseHTTPRequestHandler):
    """Answers for a `FakeRegistry`."""

    protocol_version = "HTTP/1.1"
    server: _Server

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - http.server's name
        """Keep quiet."""

    def reply(
        self, status: int, body: bytes = b"", headers: Mapping[str, str] | None = None
    ) -> bool:
        """Send a whole answer; `headers` may overrule the length. True, as a `Fault` returns."""
        self.send_response(status)
        for key, value in {"Content-Length": str(len(body)), **(headers or {})}.items():
            self.send_header(key, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)
        return True

    def cut(self, body: bytes, announced: int) -> None:
        """Announce more than is sent, and hang up."""
        self.send_response(200)
        self.send_header("Content-Length", str(announced))
        self.end_headers()
        self.wfile.write(body)
        self.hang_up()

    def body(self) -> bytes:
        """The request's whole body."""
        return self.rfile.read(int(self.headers.get("Content-Length") or 0))

    def send_blob(self, data: bytes) -> None:
        """Send a blob or the range of it that was asked for, as far as `cut_at_bytes` allows."""
        registry = self.server.registry
        match = re.fullmatch(r"bytes=(\d+)-(\d+)", self.headers.get("Range") or "")
        start, end = (int(match[1]), int(match[2]) + 1) if match else (0, len(data))
        self.send_response(206 if match else 200)
        self.send_header("Content-Length", str(end - start))
        if match:
            self.send_header("Content-Range", f"bytes {start}-{end - 1}/{len(data)}")
        self.end_headers()
        for place in range(start, end, _SENT_AT_ONCE_BYTES):
            size_bytes = min(_SENT_AT_ONCE_BYTES, end - place)
            if not registry.may_send(size_bytes):
                self.hang_up()
                return
            self.wfile.write(memoryview(data)[place : place + size_bytes])

    def hang_up(self) -> None:
        """End the connection in the middle of things."""
        self.wfile.flush()
        self.connection.shutdown(socket.SHUT_RDWR)
        self.close_connection = True

    def _serve(self) -> None:
        registry = self.server.registry
        registry.seen.append(Seen(self.command, self.path, dict(self.headers)))
        for method, pattern, fault in registry.faults:
            if method == self.command and re.search(pattern, self.path) and fault(self):
                return
        registry.answer(self)

    # In many small writes a blob would wait for acknowledgements.
    disable_nagle_algorithm = True
    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = _serve  # noqa: N815 - names of http.server


Fault = Callable[[Handler], bool]
"""Answers a request in its own way, or returns False and lets the registry answer."""


class _Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    registry: FakeRegistry

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Clients that hang up are part of the tests."""


class FakeRegistry:
    """A registry of a few lines, that can be told to misbehave.

    `_counting` guards `sent_bytes`.
    """

    def __init__(self, port: int = 0) -> None:
        self.manifests: dict[tuple[str, str], tuple[str, bytes]] = {}
        self.blobs: dict[str, bytes] = {}
        self.seen: list[Seen] = []
        self.faults: list[tuple[str, str, Fault]] = []
        self.sent_bytes = 0
        """Of blobs, all answers together."""
        self.cut_at_bytes: float = math.inf
        """From here on, connections are cut in the middle of a blob."""
        self.on_cut: Callable[[], None] = lambda: None
        """Called before each such cut; may wait, and so make a stall of it."""
        self.uploads: dict[str, bytearray] = {}
        """What came of blobs, by the number of the upload."""
        self.received_bytes = 0
        """Of blobs that came in parts."""
        self.cut_upload_at_bytes: float = math.inf
        """From here on, the connection of the upload is cut, once."""
        self.knows_uploads = True
        """Whether it can be asked how far an upload is."""
        self._counting = threading.Lock()
        self._server = _Server(("127.0.0.1", port), Handler)
        self._server.registry = self
        self.host = f"127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))
        self._thread.start()

    def close(self) -> None:
        """Stop."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(5)

    def may_send(self, size_bytes: int) -> bool:
        """Count what is about to be sent of a blob; False when that is where the cut is."""
        with self._counting:
            if self.sent_bytes + size_bytes <= self.cut_at_bytes:
                self.sent_bytes += size_bytes
                return True
        self.on_cut()
        return False

    def speak_tls(self, folder: Path) -> str:
        """Speak TLS from now on, with a certificate of its own for 0.0.0.0; returns the port.

        That address reaches loopback, but is not known as loopback.
        """
        subprocess.run(
            [
                *(need("openssl"), "req", "-x509", "-newkey", "ec", "-nodes", "-days", "2"),
                *("-pkeyopt", "ec_paramgen_curve:P-256", "-subj", "/CN=test"),
                *("-addext", "subjectAltName=IP:0.0.0.0"),
                *("-keyout", str(folder / "key.pem"), "-out", str(folder / "cert.pem")),
            ],
            check=True,
            capture_output=True,
            timeout=30,
        )
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(folder / "cert.pem", folder / "key.pem")
        self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        return self.host.rpartition(":")[2]

    def reference(self, name: str = "ai/tiny:v1") -> Reference:
        """A reference into this registry."""
        return Reference.parse(f"{self.host}/{name}")

    def fault(self, method: str, pattern: str, fault: Callable[[Handler], Any]) -> None:
        """Misbehave for some requests; a fault that returns False leaves one to the registry."""
        self.faults.append((method, pattern, lambda handler: fault(handler) is not False))

    def add_blob(self, data: bytes) -> Digest:
        """Have a blob."""
        digest = Digest.of(data)
        self.blobs[str(digest)] = data
        return digest

    def add(
        self,
        layers: Sequence[tuple[str, bytes, str | None]] = ((str(GGUF), b"weights", "tiny.gguf"),),
        *,
        name: str = "ai/tiny",
        tag: str = "v1",
        config: bytes = b'{"config":{"format":"gguf"}}',
        config_type: str = str(DOCKER_CONFIG_TYPE),
    ) -> Manifest:
        """Have a model: layers are media type, bytes and path."""
        descriptors = tuple(
            Descriptor(
                MediaType(media_type),
                self.add_blob(data),
                len(data),
                {} if path is None else {"org.cncf.model.filepath": path},
            )
            for media_type, data, path in layers
        )
        manifest = Manifest(
            Descriptor(MediaType(config_type), self.add_blob(config), len(config)), descriptors
        )
        self.add_manifest(encode_manifest(manifest), name=name, tag=tag)
        return manifest

    def add_manifest(
        self,
        data: bytes,
        *,
        name: str = "ai/tiny",
        tag: str = "v1",
        media_type: str = str(OCI_MANIFEST),
    ) -> Digest:
        """Have any bytes as a manifest."""
        digest = Digest.of(data)
        self.manifests[name, tag] = self.manifests[name, str(digest)] = (media_type, data)
        return digest

    def answer(self, handler: Handler) -> None:
        """Behave."""
        parts = urlsplit(handler.path)
        match = re.fullmatch(r"/v2/(.+)/(manifests|blobs|blobs/uploads)/([^/]*)", parts.path)
        if match is None:
            handler.reply(404)
            return
        name, kind, target = match.groups()
        if handler.command == "POST":
            number = str(len(self.uploads) + 1)
            self.uploads[number] = bytearray()
            handler.reply(202, headers={"Location": self._location(name, number)})
        elif kind == "blobs/uploads" and handler.command == "PATCH":
            self._patch(handler, name, target)
        elif kind == "blobs/uploads" and handler.command == "GET" and self.knows_uploads:
            handler.reply(204, headers=self._so_far(name, target))
        elif handler.command == "PUT":
            self._put(handler, name, kind, target, parse_qs(parts.query))
        elif kind == "manifests" and (name, target) in self.manifests:
            media_type, data = self.manifests[name, target]
            handler.reply(200, data, {"Content-Type": media_type})
        elif kind == "blobs" and target in self.blobs:
            if handler.command == "HEAD":
                handler.reply(200, self.blobs[target])
            else:
                handler.send_blob(self.blobs[target])
        else:
            handler.reply(404, b'{"errors":[{"code":"UNKNOWN","message":"not here"}]}')

    @staticmethod
    def _location(name: str, number: str) -> str:
        return f"/v2/{name}/blobs/uploads/{number}?_state=a%3D%3D&empty="

    def _so_far(self, name: str, number: str) -> Mapping[str, str]:
        last = max(len(self.uploads[number]) - 1, 0)
        return {"Location": self._location(name, number), "Range": f"0-{last}"}

    def _patch(self, handler: Handler, name: str, number: str) -> None:
        """Take a part of a blob; refuse one that does not follow."""
        have = self.uploads[number]
        start, _, _ = (handler.headers.get("Content-Range") or "0-").partition("-")
        if int(start) != len(have):
            handler.body()
            handler.reply(416)
            return
        left_bytes = int(handler.headers["Content-Length"])
        while left_bytes:
            data = handler.rfile.read(min(left_bytes, _SENT_AT_ONCE_BYTES))
            left_bytes -= len(data)
            have += data
            self.received_bytes += len(data)
            if not data or self.received_bytes >= self.cut_upload_at_bytes:
                self.cut_upload_at_bytes = math.inf
                handler.hang_up()
                return
        handler.reply(202, headers=self._so_far(name, number))

    def _put(
        self, handler: Handler, name: str, kind: str, target: str, query: dict[str, list[str]]
    ) -> None:
        data = bytes(self.uploads.get(target, b"")) + handler.body()
        if kind == "manifests":
            self.add_manifest(
                data, name=name, tag=target, media_type=handler.headers["Content-Type"]
            )
            handler.reply(201)
        elif query.get("digest") == [str(Digest.of(data))]:
            self.add_blob(data)
            handler.reply(201)
        else:
            handler.reply(400, b'{"errors":[{"code":"DIGEST_INVALID"}]}')


@pytest.fixture
def registry() -> Iterator[FakeRegistry]:
    """An empty in-process registry on loopback."""
    registry = FakeRegistry()
    yield registry
    registry.close()


@pytest.fixture
def other_registry() -> Iterator[FakeRegistry]:
    """A second one, on another port."""
    registry = FakeRegistry()
    yield registry
    registry.close()


# Debian's registry --------------------------------------------------------------------------


def serve_registry(
    folder: Path,
    *,
    htpasswd: bool = False,
    auth: Mapping[str, Any] | None = None,
    tls: Mapping[str, str] | None = None,
) -> Iterator[str]:
    """Run Debian's registry on a free loopback port while the generator is open."""
    need("docker-registry")
    with debian_registry(folder, htpasswd=htpasswd, auth=auth, tls=tls) as host:
        yield host


@pytest.fixture(scope="session")
def real_registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The host of Debian's registry, open to everybody on this machine."""
    yield from serve_registry(tmp_path_factory.mktemp("registry"))


@pytest.fixture(scope="session")
def crane_host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The host of the registry within `crane`."""
    binary = want("crane", "Debian's unstable distribution")
    with crane_registry(binary, tmp_path_factory.mktemp("crane")) as host:
        yield host


@pytest.fixture(scope="session", params=["real_registry", "crane_host"])
def any_registry(request: pytest.FixtureRequest) -> str:
    """The host of a registry that is open to everybody on this machine, of each implementation."""
    host: str = request.getfixturevalue(request.param)
    return host


@pytest.fixture(scope="session")
def real_registry_with_login(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The host of Debian's registry that wants alice's password, s3cret."""
    yield from serve_registry(tmp_path_factory.mktemp("registry-login"), htpasswd=True)


@pytest.fixture(scope="session")
def token_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TokenServer]:
    """The token server of `real_registry_with_tokens`."""
    server = TokenServer.start(tmp_path_factory.mktemp("tokens"))
    yield server
    server.stop()


@pytest.fixture(scope="session")
def real_registry_with_tokens(
    tmp_path_factory: pytest.TempPathFactory, token_server: TokenServer
) -> Iterator[str]:
    """The host of Debian's registry that wants tokens; reading is for everybody."""
    folder = tmp_path_factory.mktemp("registry-tokens")
    yield from serve_registry(folder, auth=token_server.registry_config)


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a private authority: `ca.pem`, and a server's `cert.pem` and `key.pem`."""
    folder = tmp_path_factory.mktemp("authority")
    root = trustme.CA()
    certificate = root.issue_cert("127.0.0.1", "localhost")
    root.cert_pem.write_to_path(folder / "ca.pem")
    certificate.private_key_pem.write_to_path(folder / "key.pem")
    for blob in certificate.cert_chain_pems:
        blob.write_to_path(folder / "cert.pem", append=True)
    return folder


@pytest.fixture(scope="session")
def real_registry_with_tls(
    tmp_path_factory: pytest.TempPathFactory, authority: Path
) -> Iterator[str]:
    """The host of Debian's registry behind TLS of a private authority, with alice's password."""
    folder = tmp_path_factory.mktemp("registry-tls")
    tls = {"certificate": str(authority / "cert.pem"), "key": str(authority / "key.pem")}
    yield from serve_registry(folder, htpasswd=True, tls=tls)
