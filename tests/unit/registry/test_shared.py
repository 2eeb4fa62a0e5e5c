"""Tests of shared stores: models of others, used where they are."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from gguf_file import gguf_bytes

from stoker.digest import Digest
from stoker.errors import ConfigError, ConflictError, ModelNotFoundError
from stoker.media_types import GGUF
from stoker.reference import Reference
from stoker.store import PackageSource, Progress
from stoker_registry.options import OciOptions
from stoker_registry.store import OciStore

from .conftest import FakeRegistry, MakeStore, ignore
from .test_exchange import skopeo

NAME = Reference.parse("ai/tiny")
OTHER = Reference.parse("ai/other")


def snapshot(folder: Path) -> Mapping[str, tuple[int, ...]]:
    """Whatever a write, a lock, a link or a rename below a folder would change."""
    found = {}
    for path in (folder, *folder.rglob("*")):
        state = path.lstat()
        times = state.st_mtime_ns, state.st_ctime_ns
        found[str(path)] = state.st_ino, state.st_nlink, state.st_mode, state.st_size, *times
    return found


def close_off(folder: Path) -> None:
    """Let nobody write below a folder (but root, whom nothing stops)."""
    for path in (*folder.rglob("*"), folder):
        path.chmod(0o555 if path.is_dir() else 0o444)


@pytest.fixture
def shared(make_store: MakeStore, gguf: Path, tmp_path: Path) -> Iterator[Path]:
    """The folder of a store with one model, which nobody may write."""
    make_store("shared").package(NAME, PackageSource((gguf,)), ignore)
    folder = tmp_path / "shared"
    close_off(folder)
    before = snapshot(folder)
    yield folder
    assert before == snapshot(folder)
    for path in (folder, *folder.rglob("*")):
        if path.is_dir():
            path.chmod(0o755)


@pytest.fixture
def mine(make_store: MakeStore, shared: Path) -> OciStore:
    """A store of one's own, with that one behind it."""
    return make_store("mine", shared=(str(shared),))


def blobs_of(store: OciStore) -> set[Digest]:
    """What a store has in its own folder."""
    return set(store._layout.blobs.digests())


def test_a_shared_model_is_used_where_it_is(mine: OciStore, gguf: Path, shared: Path) -> None:
    """It is found, listed and opened; no byte of it is copied."""
    artifact = mine.resolve(NAME)

    with mine.use(artifact, "process 7"):
        (weights,) = mine.open(artifact).weights

    assert [artifact] == mine.list()
    assert ("tiny.gguf", gguf.read_bytes()) == (weights.name, weights.read_bytes())
    assert shared / "blobs" in weights.resolve().parents
    assert set() == blobs_of(mine)
    assert artifact.facts.architecture == "llama"


def test_ones_own_models_come_first(mine: OciStore, tmp_path: Path) -> None:
    """A name that both have means one's own, until that is gone."""
    (tmp_path / "own.gguf").write_bytes(gguf_bytes(padding=b"own"))
    before = mine.resolve(NAME)
    own = mine.package(NAME, PackageSource((tmp_path / "own.gguf",)), ignore)

    assert own.digest == mine.resolve(NAME).digest
    assert [own.digest] == [item.digest for item in mine.list()]
    mine.remove(NAME)
    assert before.digest == mine.resolve(NAME).digest


def test_a_shared_model_cannot_be_changed(mine: OciStore, shared: Path) -> None:
    """Whoever would remove or rename one is told where it is, also when it is in use."""
    with mine.use(mine.resolve(NAME), "process 7"):
        for change in (lambda: mine.remove(NAME), lambda: mine.tag(NAME, OTHER)):
            with pytest.raises(ConflictError, match=rf"ai/tiny is in the shared store {shared}"):
                change()
    with pytest.raises(ModelNotFoundError):
        mine.remove(OTHER)


def test_a_pull_takes_no_shared_model_again(
    make_store: MakeStore, registry: FakeRegistry, tmp_path: Path
) -> None:
    """When the registry means the same as the shared store, its manifest is all that is asked."""
    registry.add()
    make_store("theirs").pull(registry.reference(), ignore)
    before = snapshot(tmp_path / "theirs")
    mine = make_store("mine", shared=(str(tmp_path / "theirs"),))
    registry.seen.clear()

    artifact = mine.pull(registry.reference(), ignore)

    assert mine.resolve(registry.reference()) == artifact
    assert set() == blobs_of(mine)
    assert [] == [seen for seen in registry.seen if str(Digest.of(b"weights")) in seen.path]
    assert before == snapshot(tmp_path / "theirs")


def test_a_pull_copies_the_blobs_that_a_shared_store_has(
    make_store: MakeStore, registry: FakeRegistry, tmp_path: Path
) -> None:
    """A newer version with the same weights fetches only what is new; the copy is checked."""
    weights = (str(GGUF), b"weights", "tiny.gguf")
    registry.add((weights,))
    make_store("theirs").pull(registry.reference(), ignore)
    mine = make_store("mine", shared=(str(tmp_path / "theirs"),))
    license_layer = ("application/vnd.docker.ai.license", b"free", "LICENSE")
    registry.add((weights, license_layer))
    registry.seen.clear()
    seen: list[Progress] = []

    artifact = mine.pull(registry.reference(), seen.append)

    asked = [item.path.rpartition("/")[2] for item in registry.seen if "/blobs/" in item.path]
    assert str(Digest.of(b"free")) in asked
    assert str(Digest.of(b"weights")) not in asked
    assert "tiny.gguf" in {progress.item for progress in seen if progress.stage == "copying"}
    assert {blob.digest for blob in artifact.manifest.blobs} < blobs_of(mine)
    assert mine.verify(None, ignore, repair=False).is_clean


def test_a_damaged_shared_blob_is_fetched(
    make_store: MakeStore, registry: FakeRegistry, tmp_path: Path
) -> None:
    """What a shared store has is not believed when it is copied."""
    registry.add()
    theirs = make_store("theirs")
    theirs.pull(registry.reference(), ignore)
    path = theirs._layout.blobs.path(Digest.of(b"weights"))
    path.chmod(0o644)
    path.write_bytes(b"WEIGHTS")
    mine = make_store("mine", shared=(str(tmp_path / "theirs"),))
    name = registry.reference("ai/tiny:v2")
    registry.add(tag="v2")

    (weights,) = mine.open(mine.pull(name, ignore)).weights

    assert b"weights" == weights.read_bytes()


def test_a_check_of_a_shared_model(make_store: MakeStore, gguf: Path, tmp_path: Path) -> None:
    """It is checked when it is named; a damage is told, and left to whoever keeps that store."""
    theirs = make_store("theirs")
    (layer,) = theirs.package(NAME, PackageSource((gguf,)), ignore).manifest.layers
    path = theirs._layout.blobs.path(layer.digest)
    path.chmod(0o644)
    path.write_bytes(bytes(layer.size_bytes))
    mine = make_store("mine", shared=(str(tmp_path / "theirs"),))

    found = mine.verify(NAME, ignore, repair=True)

    assert [(layer.digest, False, "It is in a shared store, where stoker changes nothing.")] == [
        (item.digest, item.is_repaired, item.remark) for item in found.damages
    ]
    assert mine.verify(None, ignore, repair=True).is_clean


def test_bundles_of_shared_models_stay(mine: OciStore, tmp_path: Path) -> None:
    """Neither a removal nor a prune takes the view that a shared model needs."""
    bundle = mine.open(mine.resolve(NAME))
    (tmp_path / "own.gguf").write_bytes(gguf_bytes(padding=b"own"))
    mine.package(OTHER, PackageSource((tmp_path / "own.gguf",)), ignore)

    mine.remove(OTHER)
    mine.prune(min_age_s=0, dry_run=False)

    assert bundle.weights[0].exists()
    assert set() == blobs_of(mine)


def test_shared_models_are_served_pushed_and_exported(
    mine: OciStore, registry: FakeRegistry, make_store: MakeStore, gguf: Path, tmp_path: Path
) -> None:
    """What only reads them works as with any other."""
    digest = mine.resolve(NAME).digest
    layer = Digest.of(gguf.read_bytes())

    assert (["latest"], ["ai/tiny"]) == (mine.tags("ai/tiny"), mine.repositories())
    assert digest == mine.manifest("ai/tiny", "latest").digest
    assert gguf.read_bytes() == mine.blob("ai/tiny", layer).read_bytes()
    mine.export_layout([NAME], tmp_path / "out.tar", ignore)
    (imported,) = make_store("third").import_layout(tmp_path / "out.tar", ignore)
    assert digest == imported.digest


def test_pushing_a_shared_model(
    make_store: MakeStore, registry: FakeRegistry, gguf: Path, tmp_path: Path
) -> None:
    """Its blobs are sent from where they are."""
    digest = (
        make_store("theirs").package(registry.reference(), PackageSource((gguf,)), ignore).digest
    )
    mine = make_store("mine", shared=(str(tmp_path / "theirs"),))

    assert digest == mine.push(registry.reference(), ignore)
    assert digest == make_store("third").pull(registry.reference(), ignore).digest


def test_several_shared_stores(make_store: MakeStore, tmp_path: Path) -> None:
    """The first that has a name counts, in the config's order."""
    for name in ("one", "two"):
        path = tmp_path / f"{name}.gguf"
        path.write_bytes(gguf_bytes(padding=name.encode()))
        make_store(name).package(NAME, PackageSource((path,)), ignore)
    make_store("two").tag(NAME, OTHER)
    mine = make_store("mine", shared=(str(tmp_path / "one"), str(tmp_path / "two")))

    assert make_store("one").resolve(NAME).digest == mine.resolve(NAME).digest
    assert make_store("two").resolve(NAME).digest == mine.resolve(OTHER).digest
    assert [OTHER, NAME] == [artifact.reference for artifact in mine.list()]


def test_an_exported_layout_is_a_shared_store(
    make_store: MakeStore, gguf: Path, tmp_path: Path
) -> None:
    """`stoker export` makes one: a plain image layout, with nothing else in it."""
    maker = make_store("maker")
    digest = maker.package(NAME, PackageSource((gguf,)), ignore).digest
    maker.export_layout([NAME], tmp_path / "layout", ignore)
    close_off(tmp_path / "layout")
    mine = make_store("mine", shared=(str(tmp_path / "layout"),))

    (weights,) = mine.open(mine.resolve(NAME)).weights

    assert (digest, gguf.read_bytes()) == (mine.resolve(NAME).digest, weights.read_bytes())


@pytest.mark.registry
def test_a_layout_of_skopeo_is_a_shared_store(
    make_store: MakeStore, gguf: Path, tmp_path: Path
) -> None:
    """Another tool's layout works as well; a name that is a tag alone names no model."""
    maker = make_store("maker")
    digest = maker.package(NAME, PackageSource((gguf,)), ignore).digest
    for name in ("ai/tiny:latest", "v1"):
        skopeo("copy", f"oci:{tmp_path}/maker:{NAME}", f"oci:{tmp_path}/theirs:{name}")
    close_off(tmp_path / "theirs")
    mine = make_store("mine", shared=(str(tmp_path / "theirs"),))

    assert [(NAME, digest)] == [(item.reference, item.digest) for item in mine.list()]
    assert gguf.read_bytes() == mine.open(mine.resolve(NAME)).weights[0].read_bytes()


def test_a_missing_shared_store_is_an_error(make_store: MakeStore, tmp_path: Path) -> None:
    """It must not look like one without models: those would be pulled again."""
    (tmp_path / "empty").mkdir()
    for name in ("missing", "empty"):
        with pytest.raises(ConfigError, match=rf"shared: .*{name} cannot be used.*mount it"):
            make_store("mine", shared=(str(tmp_path / name),))
    with pytest.raises(ValueError, match="not absolute"):
        OciOptions(shared=("models",))
