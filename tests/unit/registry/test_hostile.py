"""Hostile artifacts and registries: the rows of the table that no other file has."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from stoker.digest import Digest
from stoker.errors import (
    AccessDeniedError,
    IntegrityError,
    InvalidArtifactError,
    StokerError,
    TransferError,
)
from stoker.media_types import GGUF
from stoker.reference import Reference
from stoker.wire.manifest import encode_manifest
from stoker_registry.store import OciStore

from .conftest import FakeRegistry, Handler, MakeStore, ignore

DEEP = b"[" * 100_000
"""More lists in lists than anybody's stack has room for."""
SIZE_BYTES = 20 * 1024 * 1024


def deep_in(key: str) -> bytes:
    """A document that goes too deep in one key."""
    return b'{"' + key.encode() + b'":' + DEEP


@pytest.mark.parametrize("key", ["config", "layers", "annotations", "unknown", "manifests"])
def test_a_deep_manifest_is_refused(store: OciStore, registry: FakeRegistry, key: str) -> None:
    """Lists in lists in lists are malformed, also where nobody looks."""
    registry.add_manifest(deep_in(key))

    with pytest.raises(InvalidArtifactError, match="malformed"):
        store.pull(registry.reference(), ignore)


@pytest.mark.parametrize("key", ["config", "unknown"])
def test_a_deep_config_is_refused(store: OciStore, registry: FakeRegistry, key: str) -> None:
    """The same in the config, and no layer is fetched."""
    registry.add(config=deep_in(key))

    with pytest.raises(InvalidArtifactError, match="config"):
        store.pull(registry.reference(), ignore)
    assert not any(str(Digest.of(b"weights")) in seen.path for seen in registry.seen)


def test_deep_words_of_a_registry_are_left_out(store: OciStore, registry: FakeRegistry) -> None:
    """What a registry says of an error may be nonsense; the error is told all the same."""
    registry.fault("GET", "", lambda h: h.reply(403, deep_in("errors")))

    with pytest.raises(AccessDeniedError, match=r"does not allow this\.$"):
        store.pull(registry.reference(), ignore)


def test_a_deep_token_is_no_token(
    store: OciStore, registry: FakeRegistry, other_registry: FakeRegistry
) -> None:
    """A token server that answers like that is one that answers nonsense."""
    challenge = {"WWW-Authenticate": f'Bearer realm="http://{other_registry.host}/token"'}
    registry.fault("GET", "", lambda h: h.reply(401, headers=challenge))
    other_registry.fault("GET", "", lambda h: h.reply(200, deep_in("token")))

    with pytest.raises(TransferError, match="nonsense"):
        store.pull(registry.reference(), ignore)


@pytest.mark.parametrize("name", ["oci-layout", "index.json"])
def test_a_deep_layout_is_refused(store: OciStore, tmp_path: Path, name: str) -> None:
    """The same in the files of a layout."""
    folder = tmp_path / "layout"
    folder.mkdir()
    (folder / "oci-layout").write_text('{"imageLayoutVersion":"1.0.0"}')
    (folder / name).write_bytes(b'{"x":' + DEEP[:3000] if name == "oci-layout" else deep_in("x"))

    with pytest.raises(InvalidArtifactError):
        store.import_layout(folder, ignore)


def test_words_of_a_registry_do_not_reach_the_terminal(
    store: OciStore, registry: FakeRegistry
) -> None:
    """Its own words are shown, without what a terminal would obey, and not without end."""
    said = "\x1b]0;title\x07\x1b[2J\nok " + "x" * 10_000
    body = json.dumps({"errors": [{"code": "DENIED", "message": said}]}).encode()
    registry.fault("GET", "", lambda h: h.reply(403, body))

    with pytest.raises(AccessDeniedError) as caught:
        store.pull(registry.reference(), ignore)
    assert caught.value.message.isprintable()
    assert "ok x" in caught.value.message
    assert len(caught.value.message) < 500


def other_range(handler: Handler) -> None:
    """The first bytes, whichever were asked for."""
    size = 4 * 1024 * 1024
    headers = {"Content-Range": f"bytes 0-{size - 1}/{SIZE_BYTES}"}
    handler.reply(206, bytes(size), headers)


def other_total(handler: Handler) -> None:
    """The range of a blob of another size."""
    first, last = handler.headers["Range"].removeprefix("bytes=").split("-")
    headers = {"Content-Range": f"bytes {first}-{last}/{SIZE_BYTES + 1}"}
    handler.reply(206, bytes(int(last) - int(first) + 1), headers)


def no_range(handler: Handler) -> None:
    """A part that does not say which one it is."""
    first, last = handler.headers["Range"].removeprefix("bytes=").split("-")
    handler.reply(206, bytes(int(last) - int(first) + 1))


@pytest.mark.parametrize("fault", [other_range, other_total, no_range], ids=lambda f: f.__name__)
def test_wrong_ranges_are_refused(store: OciStore, registry: FakeRegistry, fault: object) -> None:
    """A part that is not the one that was asked for is written nowhere."""
    registry.add([(str(GGUF), bytes(range(256)) * (SIZE_BYTES // 256), "tiny.gguf")])
    weights = Digest.of(bytes(range(256)) * (SIZE_BYTES // 256))

    def answer(handler: Handler) -> bool:
        if handler.headers.get("Range", "bytes=0-").startswith("bytes=0-"):
            return False
        fault(handler)  # type: ignore[operator]  # a function
        return True

    registry.fault("GET", str(weights), answer)

    with pytest.raises(IntegrityError):
        store.pull(registry.reference(), ignore)
    assert [] == store.list()


@pytest.mark.parametrize("pair", [("a.gguf", "A.gguf"), ("a", "a/b.gguf"), ("a.gguf", "a.gguf")])
def test_clashing_names_cost_no_download(
    store: OciStore, registry: FakeRegistry, pair: tuple[str, str]
) -> None:
    """Two files that want one path, on some file system at least, are refused beforehand."""
    registry.add([(str(GGUF), name.encode() + bytes([i]), name) for i, name in enumerate(pair)])

    with pytest.raises(InvalidArtifactError, match="Two files"):
        store.pull(registry.reference(), ignore)
    assert all("/manifests/" in s.path or str(CONFIG) in s.path for s in registry.seen)


CONFIG = Digest.of(b'{"config":{"format":"gguf"}}')


def test_a_config_that_claims_gigabytes(store: OciStore, registry: FakeRegistry) -> None:
    """What should be small is not fetched when it says that it is not."""
    manifest = json.loads(encode_manifest(registry.add()))
    manifest["config"]["size"] = 2**40
    registry.add_manifest(json.dumps(manifest).encode())

    with pytest.raises(InvalidArtifactError, match="should be small"):
        store.pull(registry.reference(), ignore)


def test_a_layer_that_claims_more_than_there_is(
    store: OciStore, registry: FakeRegistry, tmp_path: Path
) -> None:
    """A size that no disk has is found out before anything is fetched or reserved."""
    manifest = json.loads(encode_manifest(registry.add()))
    manifest["layers"][0]["size"] = 2**62
    registry.add_manifest(json.dumps(manifest).encode())

    with pytest.raises(StokerError, match="has room for"):
        store.pull(registry.reference(), ignore)
    assert 1024**2 > sum(path.stat().st_size for path in tmp_path.rglob("*") if path.is_file())


def test_nothing_is_written_outside_the_store(
    make_store: MakeStore, registry: FakeRegistry, tmp_path: Path
) -> None:
    """Whatever an artifact calls its files, all that changes is in the store's folder."""
    store = make_store("inner/store")
    for number, path in enumerate(["../../x", "/tmp/x", "a/../../../x", "..", "a\\..\\x", "~/x"]):
        registry.add([(str(GGUF), b"weights", path)], tag=f"v{number}")
        try:
            store.open(store.pull(registry.reference(f"ai/tiny:v{number}"), ignore))
        except InvalidArtifactError:
            continue

    assert {"inner"} == {path.name for path in tmp_path.iterdir()}
    assert {"store"} == {path.name for path in (tmp_path / "inner").iterdir()}


def test_a_distant_registry_does_not_lead_here(
    store: OciStore, registry: FakeRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A redirect to a service of this machine is not followed."""
    registry.add()
    monkeypatch.setattr("stoker_registry.gate.RegistryGate._send", _redirected(registry))

    with pytest.raises(TransferError, match="this very machine"):
        store.pull(Reference.parse("registry.example/ai/tiny:v1"), ignore)
    assert [] == registry.seen


def _redirected(registry: FakeRegistry) -> object:
    def send(gate: object, _method: str, url: str, **_options: object) -> None:
        gate.address.check(f"http://{registry.host}/v2/")  # type: ignore[attr-defined]

    return send
