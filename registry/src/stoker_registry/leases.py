"""Leases: what protects blobs that no name needs yet from garbage collection.

A pull or a packaging takes a lease, writes into it the digests that it is going to rely on, and
gives it back when the index names them. A lease is a file that its owner keeps locked, so the
kernel ends it when the owner dies. Whoever collects garbage reads all living leases first. Both
sides do that under the store's lock: there is no moment in which a needed blob stands unprotected.
"""

from __future__ import annotations

import contextlib
import os
import secrets
from collections.abc import Iterable, Iterator
from pathlib import Path

import attrs

from stoker.digest import Digest
from stoker.file_lock import FileLock, try_lock
from stoker_registry.blobs import PartialBlob

_LEASE_SUFFIX = ".lease"


class Lease:
    """A living lease. Used by one thread."""

    def __init__(self, directory: Path, name: str, descriptor: int, lock: FileLock) -> None:
        self._directory = directory
        self._name = name
        self._descriptor = descriptor
        self._lock = lock
        self._partials = 0

    def protect(self, digests: Iterable[Digest]) -> None:
        """Keep these blobs, whether they are here already or are going to be.

        Raises:
            InUseError: Another process keeps the store locked.
        """
        lines = "".join(f"{digest}\n" for digest in digests)
        with self._lock.hold():
            os.write(self._descriptor, lines.encode())

    def partial(self, *, algorithm: str = "sha256") -> PartialBlob:
        """Start to write a blob, under a name that goes away with the lease."""
        return PartialBlob(self.place(), algorithm=algorithm)

    def place(self) -> Path:
        """A path on the store's disk that goes away with the lease when its owner dies."""
        self._partials += 1
        return self._directory / f"{self._name}.{self._partials}.partial"


@attrs.frozen
class LeaseDirectory:
    """All leases of a store, and the blobs that are not whole yet."""

    directory: Path
    lock: FileLock

    @contextlib.contextmanager
    def take(self) -> Iterator[Lease]:
        """Take a lease for as long as the block runs.

        Raises:
            InUseError: Another process keeps the store locked.
        """
        name = secrets.token_hex(8)
        path = self.directory / f"{name}{_LEASE_SUFFIX}"
        with self.lock.hold():
            descriptor = os.open(
                path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC, 0o644
            )
            try_lock(descriptor)
        try:
            yield Lease(self.directory, name, descriptor, self.lock)
        finally:
            path.unlink(missing_ok=True)
            os.close(descriptor)

    def protected(self, *, bury: bool = True) -> frozenset[Digest]:
        """What living leases protect. Call it under the lock.

        Args:
            bury: Delete the files of dead leases.
        """
        digests: set[Digest] = set()
        for path, is_alive in self._leases():
            if is_alive:
                lines = path.read_text().splitlines()
                digests.update(Digest.parse(line) for line in lines)
            elif bury:
                for partial in self._partials(path):
                    partial.unlink(missing_ok=True)
                path.unlink(missing_ok=True)
        return frozenset(digests)

    def dead_partials(self) -> Iterator[Path]:
        """What dead leases have left of blobs. Call it under the lock."""
        for path, is_alive in self._leases():
            if not is_alive:
                yield from self._partials(path)

    def _leases(self) -> Iterator[tuple[Path, bool]]:
        """All leases, and whether they live."""
        for path in sorted(self.directory.glob(f"*{_LEASE_SUFFIX}")):
            with contextlib.suppress(FileNotFoundError):
                descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
                try:
                    yield path, not try_lock(descriptor)
                finally:
                    os.close(descriptor)

    def _partials(self, lease: Path) -> Iterator[Path]:
        return self.directory.glob(f"{lease.stem}.*.partial")
