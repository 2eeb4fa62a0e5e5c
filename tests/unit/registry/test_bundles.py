"""Tests of `stoker_registry.bundles`."""

from __future__ import annotations

import errno
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path, PurePosixPath

import attrs
import pytest

from stoker.digest import Digest
from stoker.errors import InvalidArtifactError
from stoker.file_lock import FileLock
from stoker.manifest import Descriptor
from stoker.media_types import GGUF
from stoker_registry.blobs import BlobDirectory
from stoker_registry.bundles import LINKS, BundleDirectory

MODEL = Digest.of(b"manifest")
FILES = {
    PurePosixPath("a.gguf"): Descriptor(GGUF, Digest.of(b"aa"), 2),
    PurePosixPath("sub/b"): Descriptor(GGUF, Digest.of(b"b"), 1),
}


def no_link(_source: Path, _target: Path) -> None:
    """A file system without this kind of link."""
    raise OSError(errno.EOPNOTSUPP, "Operation not supported")


@pytest.fixture
def bundles(tmp_path: Path) -> BundleDirectory:
    """No bundles, and two blobs."""
    blobs = BlobDirectory(tmp_path / "blobs")
    (tmp_path / "blobs" / "sha256").mkdir(parents=True)
    (tmp_path / "bundles").mkdir()
    for data in (b"aa", b"b"):
        blobs.path(Digest.of(data)).write_bytes(data)
    return BundleDirectory(tmp_path / "bundles", blobs, FileLock(tmp_path / "lock", 5))


def test_files_are_hard_links(bundles: BundleDirectory) -> None:
    """A bundle has the real names and costs no space."""
    folder = bundles.lay_out(MODEL, FILES).folder

    assert f"sha256-{MODEL.encoded}" == folder.name
    assert b"b" == (folder / "sub/b").read_bytes()
    assert (folder / "a.gguf").samefile(bundles.blobs.path(Digest.of(b"aa")))
    assert 0 == sum(item.freed_bytes for item in bundles.clear(frozenset()))
    assert bundles.blobs.path(Digest.of(b"aa")).exists()


def test_symbolic_links_come_next(bundles: BundleDirectory) -> None:
    """Without hard links a bundle still costs no space."""
    bundles = attrs.evolve(bundles, links=(no_link, *LINKS[1:]))
    folder = bundles.lay_out(MODEL, FILES).folder

    assert (folder / "a.gguf").is_symlink()
    assert b"aa" == (folder / "a.gguf").read_bytes()
    assert 0 == sum(item.freed_bytes for item in bundles.clear(frozenset()))
    assert not folder.exists()


def test_copies_come_last(bundles: BundleDirectory) -> None:
    """Without any links there are copies, and removing them frees their bytes."""
    bundles = attrs.evolve(bundles, links=(no_link, no_link, LINKS[2]))
    folder = bundles.lay_out(MODEL, FILES).folder

    assert b"aa" == (folder / "a.gguf").read_bytes()
    assert 1 == (folder / "a.gguf").stat().st_nlink
    assert 3 == sum(item.freed_bytes for item in bundles.clear(frozenset()))


def test_a_whole_bundle_stays_as_it_is(bundles: BundleDirectory) -> None:
    """Laying out again changes nothing, so that paths which an engine has open stay good."""
    folder = bundles.lay_out(MODEL, FILES).folder
    before = folder.stat()

    assert folder == bundles.lay_out(MODEL, FILES).folder
    assert before.st_ino == folder.stat().st_ino


def test_a_damaged_bundle_is_repaired(bundles: BundleDirectory) -> None:
    """A file that is missing from a bundle comes back, and nothing is left over."""
    folder = bundles.lay_out(MODEL, FILES).folder
    (folder / "a.gguf").unlink()
    bundles.lay_out(MODEL, FILES)

    assert b"aa" == (folder / "a.gguf").read_bytes()
    assert [folder.name] == [path.name for path in bundles.directory.iterdir()]
    assert ["a.gguf", "sub"] == sorted(path.name for path in folder.iterdir())


def test_a_missing_blob_is_named(bundles: BundleDirectory) -> None:
    """Without the bytes there is no bundle, not even half of one."""
    bundles.blobs.path(Digest.of(b"b")).unlink()

    with pytest.raises(InvalidArtifactError, match=str(Digest.of(b"b"))):
        bundles.lay_out(MODEL, FILES)
    assert [] == list(bundles.directory.iterdir())


def test_many_at_once(bundles: BundleDirectory) -> None:
    """Threads that lay out one bundle at the same time all get a whole one."""
    with ThreadPoolExecutor(8) as threads:
        folders = list(threads.map(lambda _: bundles.lay_out(MODEL, FILES).folder, range(32)))

    assert 1 == len(set(folders))
    assert [folders[0].name] == [path.name for path in bundles.directory.iterdir()]


def test_the_faster_one_wins(bundles: BundleDirectory) -> None:
    """A bundle that somebody else finished meanwhile is taken, and ours leaves nothing."""

    def overtaken(source: Path, target: Path) -> None:
        made.append(bundles.lay_out(MODEL, FILES).folder.stat().st_ino)
        LINKS[0](source, target)

    made: list[int] = []
    folder = attrs.evolve(bundles, links=(overtaken, no_link)).lay_out(MODEL, FILES).folder

    assert {folder.stat().st_ino} == set(made)
    assert [folder.name] == [path.name for path in bundles.directory.iterdir()]


def test_unfinished_bundles_are_removed_when_they_are_old(bundles: BundleDirectory) -> None:
    """What a dead process left behind goes after a day; what is in the making stays."""
    for name in ("old", "new"):
        (bundles.directory / f".sha256-{MODEL.encoded}.{name}").mkdir()
    os.utime(bundles.directory / f".sha256-{MODEL.encoded}.old", (1, 1))
    sum(item.freed_bytes for item in bundles.clear(frozenset()))

    assert [f".sha256-{MODEL.encoded}.new"] == [path.name for path in bundles.directory.iterdir()]


def test_only_bundles_are_removed(bundles: BundleDirectory) -> None:
    """Bundles that are kept, and folders of others, stay."""
    folder = bundles.lay_out(MODEL, FILES).folder
    (bundles.directory / "somebody's").mkdir()

    assert 0 == sum(item.freed_bytes for item in bundles.clear(frozenset([MODEL])))
    assert folder.exists()
    assert (bundles.directory / "somebody's").exists()
