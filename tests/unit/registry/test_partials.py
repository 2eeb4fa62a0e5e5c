"""Tests of blobs that are being fetched, on disk."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from stoker.digest import Digest
from stoker.manifest import Descriptor
from stoker.media_types import GGUF
from stoker_registry.blobs import BlobDirectory
from stoker_registry.partials import BLOCK_BYTES, Partial, PartialDirectory

DATA = b"x" * (2 * BLOCK_BYTES + 10)
DESCRIPTOR = Descriptor(GGUF, Digest.of(DATA), len(DATA))


@pytest.fixture
def partials(tmp_path: Path) -> PartialDirectory:
    """An empty folder of partial blobs."""
    return PartialDirectory(tmp_path)


def opened(partials: PartialDirectory) -> Partial:
    """The blob, locked."""
    partial = partials.open(DESCRIPTOR)
    assert partial is not None
    return partial


def write_block(partial: Partial, index: int) -> None:
    """Write a block, and say so."""
    start, end = partial.block_range(index)
    partial.write(memoryview(DATA)[start:end], start)
    partial.mark(index)


def test_blocks_outlive_a_killed_process(partials: PartialDirectory) -> None:
    """What was written is there when the blob is opened again, the short last block as well."""
    partial = opened(partials)
    write_block(partial, 2)
    partial.close()

    again = opened(partials)
    assert 10 == again.resumed_bytes == partials.done_bytes(DESCRIPTOR)
    assert [(0, 2 * BLOCK_BYTES)] == list(again.missing())
    again.close()


def test_after_a_restart_only_what_reached_the_disk_counts(
    partials: PartialDirectory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another boot id means that blocks which were merely written may be zeros by now."""
    partial = opened(partials)
    write_block(partial, 0)
    partial.keep()
    write_block(partial, 1)
    assert BLOCK_BYTES == partial.unkept_bytes
    partial.close()
    monkeypatch.setattr("stoker_registry.partials.boot_id", lambda: "another boot")

    again = opened(partials)
    assert [(BLOCK_BYTES, len(DATA))] == list(again.missing())
    again.close()


def test_a_blob_has_one_owner(partials: PartialDirectory) -> None:
    """While one has a blob open nobody else gets it, and everybody sees how far it is."""
    partial = opened(partials)
    write_block(partial, 0)

    assert partials.open(DESCRIPTOR) is None
    assert BLOCK_BYTES == partials.done_bytes(DESCRIPTOR)
    partials.forget(DESCRIPTOR.digest)
    assert BLOCK_BYTES == partials.done_bytes(DESCRIPTOR)
    partial.close()


def test_a_file_that_was_cut_off_is_not_believed(partials: PartialDirectory) -> None:
    """Blocks beyond the end of the bytes are missing, whatever the other file says."""
    partial = opened(partials)
    for index in range(3):
        write_block(partial, index)
    partial.close()
    os.truncate(partials.path(DESCRIPTOR.digest), BLOCK_BYTES + 5)

    again = opened(partials)
    assert [(BLOCK_BYTES, len(DATA))] == list(again.missing())
    again.close()


@pytest.mark.parametrize("state", [b"", b"{}", b"\xff" * 300, b'{"size_bytes":1}'.ljust(259)])
def test_a_damaged_state_means_that_nothing_is_there(
    partials: PartialDirectory, state: bytes
) -> None:
    """A file of blocks that cannot be understood costs what was there, and nothing else."""
    partials.path(DESCRIPTOR.digest).write_bytes(DATA)
    partials.path(DESCRIPTOR.digest).with_suffix(".blocks").write_bytes(state)

    partial = opened(partials)
    assert [(0, len(DATA))] == list(partial.missing())
    partial.close()


def test_discarded_bytes_are_not_kept(
    partials: PartialDirectory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Bytes that are thrown away stay so, even if the disk is taking them at that moment."""
    partial = opened(partials)
    write_block(partial, 0)
    # The lock that keeping holds is the one that discarding waits for.
    seen: list[bool] = []
    monkeypatch.setattr(os, "fdatasync", lambda _fd: seen.append(partial._keeping.locked()))
    partial.keep()
    partial.discard()
    partial.keep()

    assert [True, True] == seen
    assert 0 == partials.done_bytes(DESCRIPTOR)
    partial.close()


def test_a_disk_that_fails_forgets_what_it_did_not_take(
    partials: PartialDirectory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After a failed flush nobody knows what is on disk, so it is fetched again."""
    partial = opened(partials)
    write_block(partial, 0)

    def fail(_descriptor: int) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(os, "fdatasync", fail)
    with pytest.raises(OSError, match="Input/output"):
        partial.keep()
    assert not partial.has_block(0)
    partial.close()


def test_a_whole_blob_gets_its_name(partials: PartialDirectory, tmp_path: Path) -> None:
    """A published blob cannot be written any more, and nothing is left beside it."""
    partial = opened(partials)
    for index in range(3):
        write_block(partial, index)
    blobs = BlobDirectory(tmp_path / "blobs")
    blobs.directory.mkdir()
    partial.publish(blobs)
    partial.close()

    path = blobs.path(DESCRIPTOR.digest)
    assert DATA == path.read_bytes()
    assert 0o444 == path.stat().st_mode & 0o777
    assert [path.parent.parent] == list(tmp_path.iterdir())


def test_old_leftovers_are_cleared(partials: PartialDirectory) -> None:
    """What nobody has touched for long is listed, then deleted; a blob under way is left alone."""
    partial = opened(partials)
    write_block(partial, 0)
    assert [] == list(partials.clear(min_age_s=0, dry_run=False))
    partial.close()

    assert [] == list(partials.clear(min_age_s=3600, dry_run=False))
    would = [item.digest for item in partials.clear(min_age_s=0, dry_run=True)]
    assert [DESCRIPTOR.digest] == would
    assert would == [item.digest for item in partials.clear(min_age_s=0, dry_run=False)]
    assert [] == list(partials.directory.iterdir())
