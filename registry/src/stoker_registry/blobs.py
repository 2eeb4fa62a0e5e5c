"""Blobs on disk: files named by the digest of their bytes.

A blob is written under a name of its own (`PartialBlob`) and takes its final one only after its
size and digest were checked and its bytes have reached the disk. So a file under a digest's name
is that blob, whole.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Self

import attrs

from stoker.digest import Digest
from stoker.errors import IntegrityError, InvalidArtifactError, InvalidDigestError
from stoker.manifest import Descriptor
from stoker_registry.disk import sync_directory

CHUNK_BYTES = 1024 * 1024
"""How much is read, hashed and written at once; smaller chunks make hashing a third slower."""


@attrs.frozen
class BlobDirectory:
    """The `blobs` folder of an image layout."""

    directory: Path

    def path(self, digest: Digest) -> Path:
        """Where a blob is, or would be."""
        return self.directory / digest.algorithm / digest.encoded

    def has(self, descriptor: Descriptor) -> bool:
        """Whether the blob is here, in its full size."""
        try:
            return self.path(descriptor.digest).stat().st_size == descriptor.size_bytes
        except OSError:
            return False

    def read(self, digest: Digest, *, limit_bytes: int) -> bytes:
        """Read a small blob, and check its digest again.

        Raises:
            InvalidArtifactError: It is not here, or larger than the limit.
            IntegrityError: The file was changed behind the store's back.
        """
        try:
            with self.path(digest).open("rb") as file:
                data = file.read(limit_bytes + 1)
        except FileNotFoundError as exc:
            raise InvalidArtifactError(
                f"The store has lost blob {digest}; pull the model again."
            ) from exc
        if len(data) > limit_bytes:
            raise InvalidArtifactError(f"Blob {digest} is larger than {limit_bytes} bytes.")
        if hashlib.new(digest.algorithm, data).hexdigest() != digest.encoded:
            raise IntegrityError(
                f"The file of blob {digest} was changed on disk; remove the model and pull again."
            )
        return data

    def digests(self) -> Iterator[Digest]:
        """All blobs that are here; files with other names are not ours to judge."""
        for file in sorted(self.directory.glob("*/*")):
            try:
                yield Digest(file.parent.name, file.name)
            except InvalidDigestError:
                continue


class PartialBlob:
    """A blob that is being written; leaving the block without `publish` deletes it.

    Used by one thread.
    """

    def __init__(self, path: Path, *, algorithm: str = "sha256") -> None:
        self.path = path
        self._algorithm = algorithm
        self._file = path.open("xb")
        self._hash = hashlib.new(algorithm)
        self.size_bytes = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()
        self.path.unlink(missing_ok=True)

    def write(self, chunk: bytes | memoryview) -> None:
        """Append bytes."""
        self._hash.update(chunk)
        self._file.write(chunk)
        self.size_bytes += len(chunk)

    def restart(self) -> None:
        """Forget everything that was written."""
        self._file.seek(0)
        self._file.truncate()
        self._hash = hashlib.new(self._algorithm)
        self.size_bytes = 0

    @property
    def digest(self) -> Digest:
        """Digest of what was written so far."""
        return Digest(self._algorithm, self._hash.hexdigest())

    def check(self, expected: Descriptor) -> None:
        """Compare with what was asked for.

        Raises:
            IntegrityError: Size or digest differ.
        """
        if self.size_bytes != expected.size_bytes:
            raise IntegrityError(
                f"Blob {expected.digest} should have {expected.size_bytes} bytes,"
                f" but {self.size_bytes} came."
            )
        self.check_digest(expected.digest)

    def check_digest(self, expected: Digest) -> None:
        """Compare with what was announced, where its size is not known.

        Raises:
            InvalidDigestError: It was announced by a digest of another kind than is counted here.
            IntegrityError: The digest differs.
        """
        if self._algorithm != expected.algorithm:
            raise InvalidDigestError(f"Blobs are taken by their {self._algorithm}.")
        if self.digest != expected:
            raise IntegrityError(
                f"The {self.size_bytes} bytes that came for blob {expected} are others: they hash"
                f" to {self.digest}."
            )

    def publish(self, blobs: BlobDirectory) -> Digest:
        """Give the blob its final name. What the bytes should be was checked before.

        Whoever calls this has the digest protected from garbage collection.
        """
        digest = self.digest
        self._file.flush()
        # Blobs are linked into bundles: nobody shall change one through a link.
        os.fchmod(self._file.fileno(), 0o444)
        os.fsync(self._file.fileno())
        target = blobs.path(digest)
        target.parent.mkdir(exist_ok=True)
        self.path.replace(target)
        sync_directory(target.parent)
        return digest
