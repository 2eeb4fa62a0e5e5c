"""Tests of `stoker_registry.verification`: what happened to the disk is found and mended."""

from __future__ import annotations

from pathlib import Path

import pytest
from gguf_file import gguf_bytes

from stoker.digest import Digest
from stoker.errors import InUseError, ModelNotFoundError
from stoker.manifest import Manifest
from stoker.media_types import GGUF
from stoker.reference import Reference
from stoker.store import PackageSource
from stoker.wire.manifest import encode_manifest
from stoker_registry.store import OciStore

from .conftest import FakeRegistry, MakeStore, ignore


@pytest.fixture
def pulled(store: OciStore, registry: FakeRegistry) -> Manifest:
    """A model that was pulled and laid out as a bundle."""
    manifest = registry.add(((str(GGUF), gguf_bytes({"general.architecture": "llama"}), "m.gguf"),))
    store.open(store.pull(registry.reference(), ignore))
    return manifest


def blob(store: OciStore, digest: Digest) -> Path:
    """The file of a blob."""
    return store._layout.blobs.path(digest)


def spoil(path: Path) -> None:
    """Change one byte of a file, and not its size."""
    path.chmod(0o644)
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)


def digests(manifest: Manifest) -> dict[str, Digest]:
    """The blobs of a model by what they are."""
    return {
        "manifest": Digest.of(encode_manifest(manifest)),
        "config": manifest.config.digest,
        "layer": manifest.layers[0].digest,
    }


def test_a_whole_store_is_clean(store: OciStore, pulled: Manifest) -> None:
    """Manifest, config and layer are hashed, and nothing is found."""
    found = store.verify(None, ignore, repair=False)

    assert (3, ()) == (found.checked_blobs, found.damages)
    assert found.is_clean
    assert found.checked_bytes == pulled.size_bytes + len(encode_manifest(pulled))


@pytest.mark.parametrize("what", ["manifest", "config", "layer"])
@pytest.mark.parametrize("how", ["changed", "cut", "lost"])
def test_damage_is_found_and_mended(
    store: OciStore, registry: FakeRegistry, pulled: Manifest, what: str, how: str
) -> None:
    """Whatever is damaged is named, and a repair brings the same bytes again."""
    digest = digests(pulled)[what]
    path = blob(store, digest)
    data = path.read_bytes()
    if how == "changed":
        spoil(path)
    else:
        path.unlink()
        if how == "cut":
            path.write_bytes(data[:-1])

    found = store.verify(registry.reference(), ignore, repair=False)

    assert [(digest, (registry.reference(),))] == [
        (item.digest, item.models) for item in found.damages
    ]
    assert not found.is_clean
    mended = store.verify(None, ignore, repair=True)
    assert mended.is_clean
    assert [digest] == [item.digest for item in mended.damages]
    assert data == path.read_bytes()
    assert () == store.verify(None, ignore, repair=False).damages
    weights = store.open(store.resolve(registry.reference())).weights[0]
    assert Digest.of(weights.read_bytes()) == pulled.layers[0].digest


def test_a_model_is_mended_from_where_it_was_pulled(
    store: OciStore, registry: FakeRegistry, pulled: Manifest
) -> None:
    """A name that was given later leads to the registry of the first one."""
    store.tag(registry.reference(), Reference.parse("127.0.0.1:9/other/name"))
    store.remove(registry.reference())
    spoil(blob(store, pulled.layers[0].digest))

    found = store.verify(None, ignore, repair=True)

    assert found.is_clean
    assert registry.host in found.damages[0].remark


def test_what_cannot_be_fetched_stays_and_is_said(store: OciStore, gguf: Path) -> None:
    """A model that was made here and is nowhere else keeps its damaged file."""
    name = Reference.parse("127.0.0.1:9/made/here:v1")
    layer = store.package(name, PackageSource((gguf,)), ignore).manifest.layers[0]
    spoil(blob(store, layer.digest))
    before = blob(store, layer.digest).read_bytes()

    found = store.verify(None, ignore, repair=True)

    assert not found.is_clean
    assert "cannot be fetched again from 127.0.0.1:9/made/here:v1" in found.damages[0].remark
    assert before == blob(store, layer.digest).read_bytes()


def test_wrong_bytes_do_not_mend(store: OciStore, registry: FakeRegistry, pulled: Manifest) -> None:
    """A registry that sends other bytes by now does not make the damage worse."""
    digest = pulled.layers[0].digest
    blob(store, digest).unlink()
    registry.blobs[str(digest)] = bytes(len(registry.blobs[str(digest)]))

    found = store.verify(None, ignore, repair=True)

    assert not found.is_clean
    assert not blob(store, digest).exists()


def test_a_damaged_blob_that_nobody_needs_is_deleted(store: OciStore, pulled: Manifest) -> None:
    """Leftovers are hashed too, and a repair removes a bad one."""
    stray = blob(store, Digest.of(b"stray"))
    stray.write_bytes(b"other")

    assert [Digest.of(b"stray")] == [
        item.digest for item in store.verify(None, ignore, repair=False).damages
    ]
    assert store.verify(None, ignore, repair=True).is_clean
    assert not stray.exists()
    assert blob(store, pulled.config.digest).exists()


def test_only_the_named_model_is_checked(
    store: OciStore, registry: FakeRegistry, pulled: Manifest, gguf: Path
) -> None:
    """Damage elsewhere is not that model's."""
    store.package(Reference.parse("made/here"), PackageSource((gguf,)), ignore)
    spoil(blob(store, pulled.layers[0].digest))

    assert store.verify(Reference.parse("made/here"), ignore, repair=False).is_clean
    with pytest.raises(ModelNotFoundError):
        store.verify(Reference.parse("not/here"), ignore, repair=False)


def test_a_model_in_use_stays(
    make_store: MakeStore, registry: FakeRegistry, pulled: Manifest
) -> None:
    """Who uses a model is named to whoever removes it; afterwards it can go."""
    store, other = make_store(), make_store()
    artifact = store.resolve(registry.reference())
    weights = store.open(artifact).weights[0]

    with store.use(artifact, "process 7"):
        with pytest.raises(InUseError, match="in use by process 7"):
            other.remove(registry.reference())
        # Another name keeps the files, so this one may go.
        other.tag(registry.reference(), Reference.parse("ai/second"))
        other.remove(registry.reference())
        with pytest.raises(InUseError):
            other.remove(Reference.parse("ai/second"))
        assert weights.exists()

    other.remove(Reference.parse("ai/second"))
    assert not weights.exists()
    with pytest.raises(ModelNotFoundError), store.use(artifact, "process 7"):
        pass


def test_a_name_that_moves_leaves_a_model_in_use(
    store: OciStore, registry: FakeRegistry, pulled: Manifest
) -> None:
    """The bundle and the blobs of a loaded model stay when its tag gets a newer model."""
    artifact = store.resolve(registry.reference())
    weights = store.open(artifact).weights[0]
    registry.add(((str(GGUF), b"newer", "m.gguf"),))

    with store.use(artifact, "process 7"):
        store.pull(registry.reference(), ignore)
        assert () == store.prune(min_age_s=0, dry_run=False).blobs
        assert Digest.of(weights.read_bytes()) == pulled.layers[0].digest

    assert pulled.layers[0].digest in store.prune(min_age_s=0, dry_run=False).blobs
    assert not weights.exists()
