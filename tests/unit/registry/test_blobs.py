"""Tests of `stoker_registry.blobs`."""

from __future__ import annotations

import contextlib
import stat
from pathlib import Path

import pytest

from stoker.digest import Digest
from stoker.errors import IntegrityError, InvalidArtifactError
from stoker.manifest import Descriptor
from stoker.media_types import GGUF
from stoker_registry.blobs import BlobDirectory, PartialBlob


@pytest.fixture
def blobs(tmp_path: Path) -> BlobDirectory:
    """An empty folder of blobs."""
    (tmp_path / "blobs" / "sha256").mkdir(parents=True)
    return BlobDirectory(tmp_path / "blobs")


def test_a_blob_appears_when_it_is_published(blobs: BlobDirectory, tmp_path: Path) -> None:
    """Before `publish` there is no file of that digest, and after it nobody can write to it."""
    descriptor = Descriptor(GGUF, Digest.of(b"abc"), 3)
    with PartialBlob(tmp_path / "x.partial") as partial:
        partial.write(b"ab")
        partial.write(b"c")
        partial.check(descriptor)
        assert not blobs.has(descriptor)
        assert descriptor.digest == partial.publish(blobs)

    assert blobs.has(descriptor)
    assert b"abc" == blobs.read(descriptor.digest, limit_bytes=3)
    assert 0o444 == stat.S_IMODE(blobs.path(descriptor.digest).stat().st_mode)
    assert not (tmp_path / "x.partial").exists()


def test_an_unpublished_blob_goes_away(blobs: BlobDirectory, tmp_path: Path) -> None:
    """Whatever ends the block, half a blob is deleted."""
    path = tmp_path / "x.partial"
    with contextlib.suppress(ZeroDivisionError), PartialBlob(path) as partial:
        partial.write(b"ab")
        assert path.exists()
        raise ZeroDivisionError

    assert not path.exists()
    assert [] == list(blobs.digests())


def test_wrong_bytes_are_told_apart(tmp_path: Path) -> None:
    """Size and digest are both compared, and the error says which differs."""
    with PartialBlob(tmp_path / "x.partial") as partial:
        partial.write(b"abc")
        with pytest.raises(IntegrityError, match="should have 4 bytes, but 3 came"):
            partial.check(Descriptor(GGUF, Digest.of(b"abcd"), 4))
        with pytest.raises(IntegrityError, match="are others"):
            partial.check(Descriptor(GGUF, Digest.of(b"abd"), 3))


def test_a_blob_can_start_anew(tmp_path: Path) -> None:
    """After `restart` nothing of what was written counts."""
    with PartialBlob(tmp_path / "x.partial") as partial:
        partial.write(b"wrong and long")
        partial.restart()
        partial.write(b"abc")

        partial.check(Descriptor(GGUF, Digest.of(b"abc"), 3))


def test_sha512(blobs: BlobDirectory, tmp_path: Path) -> None:
    """A blob may be known by its sha512 digest."""
    with PartialBlob(tmp_path / "x.partial", algorithm="sha512") as partial:
        partial.write(b"abc")
        digest = partial.publish(blobs)

    assert "sha512" == digest.algorithm
    assert b"abc" == blobs.read(digest, limit_bytes=10)
    assert [digest] == list(blobs.digests())


def test_reading_checks_again(blobs: BlobDirectory) -> None:
    """A missing, a grown and a changed file are each refused."""
    digest = Digest.of(b"abc")
    with pytest.raises(InvalidArtifactError, match="lost"):
        blobs.read(digest, limit_bytes=10)
    blobs.path(digest).write_bytes(b"abd")
    with pytest.raises(IntegrityError, match="changed on disk"):
        blobs.read(digest, limit_bytes=10)
    with pytest.raises(InvalidArtifactError, match="larger"):
        blobs.read(digest, limit_bytes=2)


def test_foreign_files_are_no_blobs(blobs: BlobDirectory) -> None:
    """Files whose names are no digests are passed over."""
    (blobs.directory / "sha256" / "README").touch()
    (blobs.directory / "md5").mkdir()
    (blobs.directory / "md5" / ("0" * 32)).touch()
    (blobs.directory / "stray").touch()

    assert [] == list(blobs.digests())
