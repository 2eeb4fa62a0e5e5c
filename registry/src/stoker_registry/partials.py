"""Blobs that are being fetched, on disk: what has come stays until all has come.

    sha256-HEX.partial   the blob's bytes, each in its place, with holes
    sha256-HEX.blocks    which blocks of it are there, one byte each after a header

Both outlive a cut, a killed process and a power cut. A block is *written* when its bytes were
handed to the system, which keeps them when the process is killed, and *kept* when they were
brought to disk besides. So after a restart of the machine only kept blocks count; the header tells
by the system's own boot id whether there was one.

Whoever fetches a blob keeps its `.blocks` file locked, so no two do. The kernel ends the lock with
its owner.
"""

from __future__ import annotations

import contextlib
import os
import re
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import attrs
import msgspec

from stoker.digest import Digest
from stoker.errors import InvalidDigestError
from stoker.file_lock import try_lock
from stoker.manifest import Descriptor
from stoker.wire.malformed import MALFORMED
from stoker_registry.blobs import BlobDirectory
from stoker_registry.disk import sync_directory

BLOCK_BYTES = 1024 * 1024
"""What is refetched at most of a connection that was cut by the end of the process."""

_MISSING, _WRITTEN, _KEPT = b"\0", b"\1", b"\2"
_WRITTEN_RUN = re.compile(_WRITTEN + b"+")
_HEADER_BYTES = 256
_PARTIAL, _BLOCKS = ".partial", ".blocks"
_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


def boot_id() -> str:
    """What differs after a restart of the machine; empty where the system does not say.

    https://man7.org/linux/man-pages/man5/proc_sys_kernel.5.html
    """
    try:
        return _BOOT_ID.read_text(encoding="ascii").strip()
    except OSError:
        return ""


class _Header(msgspec.Struct, frozen=True):
    size_bytes: int
    block_bytes: int
    boot_id: str

    def encode(self) -> bytes:
        return msgspec.json.encode(self).ljust(_HEADER_BYTES - 1) + b"\n"


class Partial:
    """A blob that is being fetched; its owner alone has one, for the blob is locked.

    Threads share it: `_lock` guards `_blocks`, `_keeping` the files' being open. Bytes of one place
    are written by one thread.
    """

    def __init__(self, path: Path, descriptor: Descriptor, blocks_fd: int) -> None:
        """Take over what is there. `PartialDirectory.open` calls this, with the lock held."""
        self.descriptor = descriptor
        self.count = -(-descriptor.size_bytes // BLOCK_BYTES)
        self._path = path
        self._blocks_path = path.with_suffix(_BLOCKS)
        self._blocks_fd = blocks_fd
        self._fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        self._lock = threading.Lock()
        self._keeping = threading.Lock()
        self._is_open = True
        found = _read_blocks(os.pread(blocks_fd, _HEADER_BYTES + self.count, 0), descriptor)
        self._blocks = bytearray(found or bytes(self.count))
        self._forget_beyond(os.fstat(self._fd).st_size)
        self.resumed_bytes = self.done_bytes
        """How much was there already."""
        self._write_all_blocks()

    def _forget_beyond(self, size_bytes: int) -> None:
        """A file that is shorter than its blocks say was changed by somebody else."""
        for index in range(self.count):
            if self.block_range(index)[1] > size_bytes:
                self._blocks[index : index + 1] = _MISSING

    def _write_all_blocks(self) -> None:
        header = _Header(self.descriptor.size_bytes, BLOCK_BYTES, boot_id()).encode()
        os.pwrite(self._blocks_fd, header + self._blocks, 0)
        os.ftruncate(self._blocks_fd, _HEADER_BYTES + self.count)

    def block_range(self, index: int) -> tuple[int, int]:
        """Where a block begins and ends in the blob."""
        start = index * BLOCK_BYTES
        return start, min(start + BLOCK_BYTES, self.descriptor.size_bytes)

    def has_block(self, index: int) -> bool:
        """Whether a block is there."""
        return self._blocks[index : index + 1] != _MISSING

    @property
    def done_bytes(self) -> int:
        """The size of all blocks that are there."""
        return _done_bytes(self._blocks, self.descriptor)

    def missing(self) -> Iterator[tuple[int, int]]:
        """The ranges that are not there, from the first to the last, each as long as it can be."""
        start = None
        for index in range(self.count):
            if self.has_block(index):
                if start is not None:
                    yield start, index * BLOCK_BYTES
                start = None
            elif start is None:
                start = index * BLOCK_BYTES
        if start is not None:
            yield start, self.descriptor.size_bytes

    @property
    def unkept_bytes(self) -> int:
        """The size of all blocks that a power cut would take."""
        return self._blocks.count(_WRITTEN) * BLOCK_BYTES

    def write(self, data: memoryview, offset: int) -> None:
        """Put bytes into their place."""
        while data:
            written = os.pwrite(self._fd, data, offset)
            data = data[written:]
            offset += written

    def mark(self, index: int) -> None:
        """Say that all bytes of a block were written."""
        with self._lock:
            self._blocks[index : index + 1] = _WRITTEN
            os.pwrite(self._blocks_fd, _WRITTEN, _HEADER_BYTES + index)

    def read(self, buffer: memoryview, offset: int) -> int:
        """Read bytes back; returns how many there are, none where the file was cut."""
        return os.preadv(self._fd, [buffer], offset)

    def keep(self) -> None:
        """Bring what was written so far to disk.

        Raises:
            OSError: The disk failed. What was only written is forgotten: nobody knows of it.
        """
        with self._keeping:
            with self._lock:
                before = bytes(self._blocks)
            if _WRITTEN not in before or not self._is_open:
                return
            try:
                os.fdatasync(self._fd)
            except OSError:
                self._set_written(before, _MISSING)
                raise
            self._set_written(before, _KEPT)
            os.fdatasync(self._blocks_fd)

    def _set_written(self, before: bytes, state: bytes) -> None:
        """Change the state of all blocks that were merely written at some moment before."""
        with self._lock:
            for run in _WRITTEN_RUN.finditer(before):
                start, end = run.span()
                self._blocks[start:end] = state * (end - start)
                os.pwrite(self._blocks_fd, self._blocks[start:end], _HEADER_BYTES + start)

    def discard(self) -> None:
        """Forget all bytes: they are not the blob's."""
        # Whoever is bringing blocks to disk right now would note them as kept afterwards.
        with self._keeping, self._lock:
            self._blocks[:] = bytes(self.count)
            os.ftruncate(self._fd, 0)
            self._write_all_blocks()
        self.resumed_bytes = 0

    def remove(self) -> None:
        """Delete both files, as the blob is here already: its last owner died between the two."""
        self._path.unlink(missing_ok=True)
        self._blocks_path.unlink(missing_ok=True)

    def publish(self, blobs: BlobDirectory) -> None:
        """Give the blob its final name. Size and digest were checked before.

        Whoever calls this has the digest protected from garbage collection.
        """
        os.ftruncate(self._fd, self.descriptor.size_bytes)
        # Blobs are linked into bundles: nobody shall change one through a link.
        os.fchmod(self._fd, 0o444)
        os.fsync(self._fd)
        target = blobs.path(self.descriptor.digest)
        target.parent.mkdir(exist_ok=True)
        self._path.replace(target)
        sync_directory(target.parent)
        self._blocks_path.unlink(missing_ok=True)

    def close(self) -> None:
        """Let go of the blob; what is not published stays for the next attempt."""
        with self._keeping:
            self._is_open = False
            os.close(self._fd)
            # Last, for it ends the lock.
            os.close(self._blocks_fd)


@attrs.frozen
class Leftover:
    """A partial blob that nobody is fetching."""

    digest: Digest
    size_bytes: int
    """What it takes on disk."""


@attrs.frozen
class PartialDirectory:
    """All blobs that are being fetched, or were until something broke off."""

    directory: Path

    def path(self, digest: Digest) -> Path:
        """Where the bytes of a blob are while it is not whole."""
        return self.directory / f"{digest.algorithm}-{digest.encoded}{_PARTIAL}"

    def open(self, descriptor: Descriptor) -> Partial | None:
        """Lock a blob and go on with it; None when somebody else has it locked."""
        blocks_fd = self._lock(self.path(descriptor.digest).with_suffix(_BLOCKS), create=True)
        if blocks_fd is None:
            return None
        try:
            return Partial(self.path(descriptor.digest), descriptor, blocks_fd)
        except BaseException:
            os.close(blocks_fd)
            raise

    def forget(self, digest: Digest) -> None:
        """Delete what is left of a blob that is whole by now; one under way is a no-op."""
        blocks = self.path(digest).with_suffix(_BLOCKS)
        descriptor = self._lock(blocks, create=False)
        if descriptor is not None:
            self.path(digest).unlink(missing_ok=True)
            blocks.unlink(missing_ok=True)
            os.close(descriptor)

    def done_bytes(self, descriptor: Descriptor) -> int:
        """How much of a blob is there, whoever is fetching it."""
        path = self.path(descriptor.digest)
        try:
            found = _read_blocks(path.with_suffix(_BLOCKS).read_bytes(), descriptor)
        except OSError:
            return 0
        return _done_bytes(found or b"", descriptor)

    def clear(self, *, min_age_s: float, dry_run: bool) -> Iterator[Leftover]:
        """Delete what nobody is fetching and nobody has touched for so long.

        Yields:
            What was deleted, or would be.
        """
        now_s = time.time()
        names = {path.stem for path in self.directory.glob("*-*") if path.suffix in _SUFFIXES}
        for name in sorted(names):
            algorithm, _, encoded = name.partition("-")
            try:
                digest = Digest(algorithm, encoded)
            except InvalidDigestError:
                continue
            blocks = self.path(digest).with_suffix(_BLOCKS)
            descriptor = self._lock(blocks, create=not dry_run)
            if descriptor is None and blocks.exists():
                continue
            try:
                states = [_stat(path) for path in (self.path(digest), blocks)]
                found = [state for state in states if state is not None]
                # Locking may just have made the second file: the bytes' own age counts.
                newest_s = found[0].st_mtime if found else now_s
                if now_s - newest_s < min_age_s:
                    continue
                if not dry_run:
                    self.path(digest).unlink(missing_ok=True)
                    blocks.unlink(missing_ok=True)
                # 512 is what POSIX counts blocks of files in, whatever those of the disk are.
                yield Leftover(digest, sum(state.st_blocks * 512 for state in found))
            finally:
                if descriptor is not None:
                    os.close(descriptor)

    @staticmethod
    def _lock(path: Path, *, create: bool) -> int | None:
        """Open and lock a file; None when somebody else has it, or there is none to open."""
        flags = os.O_RDWR | os.O_CLOEXEC | (os.O_CREAT if create else 0)
        while True:
            try:
                descriptor = os.open(path, flags, 0o644)
            except FileNotFoundError:
                return None
            if not try_lock(descriptor):
                os.close(descriptor)
                return None
            # Who had it before may have deleted it: then this lock is of a file without a name.
            state = _stat(path)
            if state is not None and os.path.samestat(state, os.fstat(descriptor)):
                return descriptor
            os.close(descriptor)


_SUFFIXES = frozenset({_PARTIAL, _BLOCKS})


def _read_blocks(data: bytes, descriptor: Descriptor) -> bytes | None:
    """The blocks that count now; None when the file is of another blob, or damaged."""
    try:
        header = msgspec.json.decode(data[:_HEADER_BYTES], type=_Header)
    except MALFORMED:
        return None
    blocks = data[_HEADER_BYTES:]
    count = -(-descriptor.size_bytes // BLOCK_BYTES)
    expected = (descriptor.size_bytes, BLOCK_BYTES, count)
    if (header.size_bytes, header.block_bytes, len(blocks)) != expected:
        return None
    if header.boot_id and header.boot_id == boot_id():
        return blocks
    return blocks.replace(_WRITTEN, _MISSING)


def _done_bytes(blocks: bytes | bytearray, descriptor: Descriptor) -> int:
    missing = blocks.count(_MISSING)
    if not blocks:
        return 0
    done = (len(blocks) - missing) * BLOCK_BYTES
    last_is_there = blocks[-1:] != _MISSING
    # The last block is the only one that may be shorter.
    return done - (len(blocks) * BLOCK_BYTES - descriptor.size_bytes if last_is_there else 0)


def _stat(path: Path) -> os.stat_result | None:
    with contextlib.suppress(FileNotFoundError):
        return path.stat()
    return None
