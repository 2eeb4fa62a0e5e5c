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
from stoker_registry.blobs import PartialBlob
from stoker_registry.lock import FileLock, try_lock

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
        self._partials += 1
        path = self._directory / f"{self._name}.{self._partials}.partial"
        return PartialBlob(path, algorithm=algorithm)


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

    def protected(self) -> frozenset[Digest]:
        """What living leases protect; files of dead ones are deleted. Call it under the lock."""
        digests: set[Digest] = set()
        for path in sorted(self.directory.glob(f"*{_LEASE_SUFFIX}")):
            with contextlib.suppress(FileNotFoundError):
                descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
                try:
                    if try_lock(descriptor):
                        self._bury(path)
                    else:
                        lines = path.read_text().splitlines()
                        digests.update(Digest.parse(line) for line in lines)
                finally:
                    os.close(descriptor)
        return frozenset(digests)

    def _bury(self, path: Path) -> None:
        for partial in self.directory.glob(f"{path.stem}.*.partial"):
            partial.unlink(missing_ok=True)
        path.unlink(missing_ok=True)
