"""stoker as a registry that takes models: from skopeo, from oras, and from stoker itself."""

from __future__ import annotations

import base64
import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import attrs
import httpx
import pytest
from gguf_file import gguf_bytes
from programs import need, want_oras
from stoker_process import Home, Server

from stoker.digest import Digest
from stoker.keys import hash_of, new_key

NAME = "team/tiny:v1"
TIMEOUT_S = 60


@attrs.frozen
class Writable:
    """A server that takes models, and the keys for it."""

    server: Server
    admin: str
    reader: str

    def client(self, key: str | None = None) -> httpx.Client:
        """An HTTP client with a key as docker's clients send it."""
        auth = None if key is None else httpx.BasicAuth("anybody", key)
        return httpx.Client(base_url=self.server.url, auth=auth, timeout=TIMEOUT_S, trust_env=False)


@pytest.fixture(scope="module")
def writable(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Writable]:
    """A running server with two keys."""
    home = Home(tmp_path_factory.mktemp("writable"))
    admin, reader = new_key(), new_key()
    entries = [("admin", admin, '"infer", "admin"'), ("reader", reader, '"infer"')]
    keys = "".join(
        f'[[keys]]\nname = "{name}"\nhash = "{hash_of(key)}"\nscopes = [{scopes}]\n'
        for name, key, scopes in entries
    )
    (home.path / "stoker.toml").write_text(f"{keys}\n[transports.http]\nregistry_writes = true\n")
    with home.serve() as server:
        yield Writable(server, admin, reader)


@pytest.fixture
def home(tmp_path: Path, writable: Writable) -> Home:
    """Another machine's home, with a model and a login."""
    docker = tmp_path / "docker"
    docker.mkdir()
    login = base64.b64encode(f"anybody:{writable.admin}".encode()).decode()
    auths = {"auths": {writable.server.registry: {"auth": login}}}
    (docker / "config.json").write_text(json.dumps(auths))
    path = tmp_path / "other"
    path.mkdir()
    home = Home(path, {"DOCKER_CONFIG": str(docker)})
    weights = tmp_path / "tiny.gguf"
    padding = tmp_path.name.encode() * 300_000
    weights.write_bytes(gguf_bytes({"general.architecture": "llama"}, padding=padding))
    home.ok("package", "-q", f"{writable.server.registry}/{NAME}", "--weights", str(weights))
    return home


def digest_of(home: Home, name: str) -> str:
    """A model's digest."""
    return str(json.loads(home.ok("inspect", name, "--json"))["model"]["digest"])


def test_stoker_pushes_to_stoker(writable: Writable, home: Home) -> None:
    """A model goes over, the server has it under its repository's name, and it verifies clean."""
    name = f"{writable.server.registry}/{NAME}"
    home.ok("push", "-q", name)

    assert digest_of(home, name) == digest_of(writable.server.home, NAME)
    writable.server.home.ok("verify", "-q", NAME)
    home.ok("push", "-q", name)


def test_a_login_is_checked(writable: Writable, home: Home) -> None:
    """`stoker login` takes a key as the password, and no other word."""
    host = writable.server.registry
    done = home.run("login", host, "-u", "anybody", "--password-stdin", text=writable.admin)
    assert 0 == done.returncode, done.stderr
    done = home.run("login", host, "-u", "anybody", "--password-stdin", text="wrong")
    assert 4 == done.returncode, done.stderr


@pytest.mark.registry
def test_skopeo_pushes_to_stoker(writable: Writable, home: Home, tmp_path: Path) -> None:
    """Skopeo copies a model over with a key as its password, and the digest stays."""
    need("skopeo")
    source = f"oci:{home.path / 'stores' / 'oci'}:{writable.server.registry}/{NAME}"
    target = f"docker://{writable.server.registry}/team/from-skopeo:v2"
    copy = ["skopeo", "copy", "--dest-tls-verify=false", source, target]
    refused = subprocess.run(
        [*copy, "--dest-creds", "anybody:wrong"],
        capture_output=True,
        timeout=TIMEOUT_S,
        check=False,
    )
    assert 0 != refused.returncode
    done = subprocess.run(
        [*copy, "--dest-creds", f"anybody:{writable.admin}"],
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        check=False,
    )

    assert 0 == done.returncode, done.stderr
    name = f"{writable.server.registry}/{NAME}"
    assert digest_of(home, name) == digest_of(writable.server.home, "team/from-skopeo:v2")


@pytest.mark.registry
def test_oras_pushes_to_stoker(writable: Writable, home: Home, tmp_path: Path) -> None:
    """The oras tool, too: what it made of a file is a model."""
    oras = want_oras()
    (tmp_path / "config.json").write_text('{"config":{"format":"gguf"}}')
    config_type = "application/vnd.docker.ai.model.config.v0.1+json"
    done = subprocess.run(
        [
            *(oras, "push", "--plain-http", f"{writable.server.registry}/team/from-oras:v1"),
            *("--username", "anybody", "--password", writable.admin),
            *("--config", f"config.json:{config_type}"),
            "tiny.gguf:application/vnd.docker.ai.gguf.v3",
        ],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        check=False,
    )

    assert 0 == done.returncode, done.stderr
    writable.server.home.ok("inspect", "team/from-oras:v1")
    writable.server.home.ok("verify", "-q", "team/from-oras:v1")


# The protocol itself ------------------------------------------------------------------------

UPLOADS = "/v2/team/raw/blobs/uploads/"
DATA = bytes(range(256)) * 8192


def test_who_may_push(writable: Writable) -> None:
    """Without a key there is a challenge that docker's clients know; a key to read is refused."""
    with writable.client() as nobody, writable.client(writable.reader) as reader:
        response = nobody.get("/v2/")
        assert (401, 'Basic realm="stoker"') == (
            response.status_code,
            response.headers["www-authenticate"],
        )
        assert 200 == reader.get("/v2/").status_code
        for client, status, code in ((nobody, 401, "UNAUTHORIZED"), (reader, 403, "DENIED")):
            for method, path in (
                ("POST", UPLOADS),
                ("PATCH", f"{UPLOADS}x"),
                ("PUT", f"{UPLOADS}x"),
                ("PUT", "/v2/team/raw/manifests/v1"),
                ("DELETE", f"{UPLOADS}x"),
            ):
                response = client.request(method, path)
                assert (status, code) == (
                    response.status_code,
                    response.json()["errors"][0]["code"],
                )


def test_an_upload_in_parts(writable: Writable) -> None:
    """It goes on where it is; a part that does not follow is refused with what is wanted."""
    half = len(DATA) // 2
    with writable.client(writable.admin) as client:
        started = client.post(UPLOADS)
        place = started.headers["location"]
        first = client.patch(place, content=DATA[:half])
        gap = client.patch(place, content=b"x", headers={"content-range": f"{half + 1}-{half + 1}"})
        asked = client.get(place)
        second = client.patch(
            place, content=DATA[half:], headers={"content-range": f"{half}-{len(DATA) - 1}"}
        )
        finished = client.put(place, params={"digest": str(Digest.of(DATA))})
        there = client.get(finished.headers["location"])

    statuses = [item.status_code for item in (started, first, gap, asked, second, finished)]
    assert [202, 202, 416, 204, 202, 201] == statuses
    assert f"0-{half - 1}" == first.headers["range"] == asked.headers["range"]
    assert "BLOB_UPLOAD_INVALID" == gap.json()["errors"][0]["code"]
    assert DATA == there.content


def test_an_upload_in_one_request(writable: Writable) -> None:
    """A blob may come along with the first request, or with the last."""
    digest = str(Digest.of(b"small"))
    with writable.client(writable.admin) as client:
        response = client.post(UPLOADS, params={"digest": digest}, content=b"small")
        place = client.post(UPLOADS).headers["location"]
        last = client.put(place, params={"digest": digest}, content=b"small")

    assert (201, digest) == (response.status_code, response.headers["docker-content-digest"])
    assert 201 == last.status_code


@pytest.mark.parametrize(
    ("method", "path", "content", "status", "code"),
    [
        ("POST", f"{UPLOADS}?digest=sha256:12", b"x", 400, "DIGEST_INVALID"),
        ("POST", f"{UPLOADS}?digest={Digest.of(b'y')}", b"x", 400, "DIGEST_INVALID"),
        ("POST", "/v2/raw/blobs/uploads/", b"", 400, "NAME_INVALID"),
        ("POST", "/v2/Team/raw/blobs/uploads/", b"", 400, "NAME_INVALID"),
        ("PATCH", f"{UPLOADS}unknown", b"x", 404, "BLOB_UPLOAD_UNKNOWN"),
        ("PUT", f"{UPLOADS}..%2f..%2fx?digest={Digest.of(b'')}", b"", 405, "UNSUPPORTED"),
        ("PUT", "/v2/team/raw/manifests/v1", b"{}", 400, "MANIFEST_INVALID"),
        ("PUT", "/v2/team/raw/manifests/v1", b"[" * 100_000, 400, "MANIFEST_INVALID"),
        ("PUT", "/v2/team/raw/manifests/v1", b" " * (4 * 1024**2 + 1), 413, "UNKNOWN"),
        ("DELETE", "/v2/team/raw/manifests/v1", b"", 405, "UNSUPPORTED"),
        ("PUT", "/v2/", b"", 405, "UNSUPPORTED"),
    ],
)
def test_what_is_refused(
    writable: Writable, *, method: str, path: str, content: bytes, status: int, code: str
) -> None:
    """Each with the specification's code for it."""
    with writable.client(writable.admin) as client:
        response = client.request(method, path, content=content)

    assert (status, code) == (response.status_code, response.json()["errors"][0]["code"])


def test_a_manifest_needs_its_blobs(writable: Writable) -> None:
    """It gets no name before they have come."""
    config = {
        "mediaType": "application/vnd.docker.ai.model.config.v0.1+json",
        "digest": str(Digest.of(b"never sent")),
        "size": 10,
    }
    manifest = json.dumps({"schemaVersion": 2, "config": config, "layers": []})
    with writable.client(writable.admin) as client:
        response = client.put("/v2/team/raw/manifests/v1", content=manifest)

        assert (404, "MANIFEST_BLOB_UNKNOWN") == (
            response.status_code,
            response.json()["errors"][0]["code"],
        )
        assert 404 == client.get("/v2/team/raw/manifests/v1").status_code


def test_pushing_is_off_without_the_setting(server: Server) -> None:
    """A server takes nothing unless it was told to, whoever asks."""
    for method, path in (("POST", UPLOADS), ("PUT", "/v2/team/raw/manifests/v1")):
        response = httpx.request(method, f"{server.url}{path}", trust_env=False)
        assert (405, "GET, HEAD") == (response.status_code, response.headers["allow"])


def test_the_setting_needs_a_key(tmp_path: Path) -> None:
    """Nobody opens a registry to everybody by mistake."""
    home = Home(tmp_path)
    (home.path / "stoker.toml").write_text("[transports.http]\nregistry_writes = true\n")

    assert "stoker keys new" in home.refused("serve", "--port", "0")
