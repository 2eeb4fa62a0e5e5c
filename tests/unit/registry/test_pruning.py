"""Pruning: what nobody needs goes, and what anybody works with stays."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from stoker.digest import Digest
from stoker.errors import InvalidArtifactError, TransferError
from stoker.manifest import Descriptor
from stoker.media_types import GGUF
from stoker.reference import Reference
from stoker.store import PackageSource, Progress
from stoker.upkeep import Pruning
from stoker_registry.store import OciStore

from .conftest import FakeRegistry, Handler, MakeStore, ignore

NAME = Reference.parse("ai/tiny")
HOUR_S = 3600.0


def files(folder: Path) -> set[str]:
    """All files of a store but the locks, with their sizes."""
    return {
        f"{path.relative_to(folder)} {path.stat().st_size}"
        for path in folder.rglob("*")
        if path.is_file() and path.name != "lock"
    }


@pytest.fixture
def littered(store: OciStore, gguf: Path, tmp_path: Path) -> OciStore:
    """A store with a model, and old litter of every kind."""
    store.open(store.package(NAME, PackageSource((gguf,)), ignore))
    layout = store._layout
    old_s = time.time() - 48 * HOUR_S
    stray = layout.blobs.path(Digest.of(b"stray"))
    stray.write_bytes(b"stray")
    partial = layout.partials.open(Descriptor(GGUF, Digest.of(b"cut off"), 7))
    assert partial
    partial.close()
    gone = layout.bundles.path(Digest.of(b"a model that is gone"))
    gone.mkdir()
    (gone / "copy.gguf").write_bytes(b"copied")
    (layout.directory / ".index.json.abc").write_bytes(b"{")
    for path in (stray, *layout.partials.directory.iterdir(), gone, gone / "copy.gguf"):
        os.utime(path, (old_s, old_s))
    os.utime(layout.directory / ".index.json.abc", (old_s, old_s))
    return store


def test_litter_goes(littered: OciStore) -> None:
    """Stray blobs, broken-off pulls, old bundles and half-written files go; the model stays."""
    done = littered.prune(min_age_s=HOUR_S, dry_run=False)

    assert ((Digest.of(b"stray"),), 2, 1) == (done.blobs, done.leftovers, done.bundles)
    assert done.freed_bytes >= len(b"stray") + len(b"copied") + 1
    assert littered.verify(None, ignore, repair=False).is_clean
    assert Pruning((), 0, 0, 0) == littered.prune(min_age_s=0, dry_run=False)
    assert littered.open(littered.resolve(NAME)).weights[0].exists()


def test_a_dry_run_deletes_nothing(littered: OciStore) -> None:
    """It tells what would go, to the byte."""
    before = files(littered._layout.directory)

    told = littered.prune(min_age_s=HOUR_S, dry_run=True)

    assert before == files(littered._layout.directory)
    assert told == littered.prune(min_age_s=HOUR_S, dry_run=False)


def test_young_files_stay(littered: OciStore) -> None:
    """Nothing that is younger than the grace period goes."""
    assert Pruning((), 0, 0, 0) == littered.prune(min_age_s=100 * HOUR_S, dry_run=False)


def test_a_running_pull_and_packaging_are_spared(
    make_store: MakeStore, registry: FakeRegistry, gguf: Path
) -> None:
    """Pruning in the middle of either takes nothing from it."""
    store, other = make_store(), make_store()
    pruned: list[Pruning] = []
    registry.add(((str(GGUF), b"one" * 1000, "one.gguf"), (str(GGUF), b"two" * 1000, "two.gguf")))

    def prune(_progress: Progress) -> None:
        pruned.append(other.prune(min_age_s=0, dry_run=False))

    store.pull(registry.reference(), prune)
    store.package(NAME, PackageSource((gguf,)), prune)

    assert pruned
    assert {Pruning((), 0, 0, 0)} == set(pruned)
    assert store.verify(None, ignore, repair=False).is_clean


def test_what_a_broken_pull_left_is_kept_for_a_while(
    store: OciStore, registry: FakeRegistry
) -> None:
    """Within the grace period a pull goes on where it was; after it, its leftovers go."""
    manifest = registry.add(
        ((str(GGUF), b"one" * 1000, "one.gguf"), (str(GGUF), b"two" * 1000, "two.gguf"))
    )
    second = manifest.layers[1].digest
    registry.fault("GET", str(second), lambda handler: Handler.reply(handler, 404))
    with pytest.raises(TransferError):
        store.pull(registry.reference(), ignore)

    assert Pruning((), 0, 0, 0) == store.prune(min_age_s=HOUR_S, dry_run=False)
    done = store.prune(min_age_s=0, dry_run=False)

    assert second not in done.blobs
    assert manifest.config.digest in done.blobs
    assert [] == list(store._layout.blobs.digests())


def test_nothing_goes_when_a_manifest_is_damaged(littered: OciStore) -> None:
    """Nobody can tell what it needs; the error says how to mend it."""
    path = littered._layout.blobs.path(littered.resolve(NAME).digest)
    path.chmod(0o644)
    path.write_bytes(b"{}")
    before = files(littered._layout.directory)

    with pytest.raises(InvalidArtifactError, match="stoker verify --repair"):
        littered.prune(min_age_s=0, dry_run=False)

    assert before == files(littered._layout.directory)
