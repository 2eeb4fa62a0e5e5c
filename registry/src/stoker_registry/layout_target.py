"""Image layouts to be written, as folders or tars, for other machines and other tools."""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import tarfile
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Protocol

import attrs

from stoker.errors import ConflictError, IntegrityError, UnavailableError
from stoker.manifest import Descriptor
from stoker.meter import Meter
from stoker.store import ReportProgress
from stoker_registry.blobs import CHUNK_BYTES
from stoker_registry.disk import sync_directory


class LayoutTarget(Protocol):
    """Takes the files of a layout, each once."""

    def add(self, name: str, file: Readable, size_bytes: int) -> None:
        """Take a file."""


class Readable(Protocol):
    """What can be read."""

    def read(self, size: int, /) -> bytes:
        """At most so many bytes; none at the end."""


@contextlib.contextmanager
def open_target(path: Path) -> Iterator[LayoutTarget]:
    """Write a layout; it gets its name at the end of the block, and nothing stays of a failure.

    Raises:
        ConflictError: There is something of that name.
        UnavailableError: The disk is full, or not writable.
    """
    path = path.absolute()
    if path.exists():
        raise ConflictError(f"{path} is there already: choose another name, or remove it first.")
    try:
        aside = Path(tempfile.mkdtemp(prefix=f".{path.name}.", dir=path.parent))
    except OSError as exc:
        raise UnavailableError(f"{path} cannot be written: {exc.strerror or exc}.") from exc
    try:
        made = aside / path.name
        if path.suffix == ".tar":
            with made.open("xb") as file:
                # GNU's format knows sizes beyond 8 GiB without notes of their own.
                with tarfile.TarFile(
                    fileobj=file, mode="w", format=tarfile.GNU_FORMAT, copybufsize=CHUNK_BYTES
                ) as archive:
                    yield TarTarget(archive)
                file.flush()
                os.fsync(file.fileno())
        else:
            made.mkdir()
            yield FolderTarget(made)
        made.rename(path)
        sync_directory(path.parent)
    except OSError as exc:
        raise UnavailableError(f"{path} cannot be written: {exc.strerror or exc}.") from exc
    finally:
        shutil.rmtree(aside, ignore_errors=True)


@attrs.frozen
class TarTarget:
    """A tar. Nothing of the moment or the machine goes in."""

    archive: tarfile.TarFile

    def add(self, name: str, file: Readable, size_bytes: int) -> None:
        """Take a file."""
        member = tarfile.TarInfo(name)
        member.size, member.mode = size_bytes, 0o644
        self.archive.addfile(member, file)  # type: ignore[arg-type]  # it only reads
        # `tarfile` remembers all members, and nobody asks for them.
        self.archive.members.clear()  # type: ignore[attr-defined]  # a plain list


@attrs.frozen
class FolderTarget:
    """A folder."""

    folder: Path

    def add(self, name: str, file: Readable, size_bytes: int) -> None:
        """Take a file."""
        del size_bytes
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("xb") as target:
            while chunk := file.read(CHUNK_BYTES):
                target.write(chunk)
            target.flush()
            os.fsync(target.fileno())


class CheckedBlob:
    """A blob that is checked while it is read. Used once, by one thread."""

    def __init__(self, file: IO[bytes], descriptor: Descriptor, report: ReportProgress) -> None:
        self._file = file
        self._descriptor = descriptor
        self._hasher = hashlib.new(descriptor.digest.algorithm)
        self._done_bytes = 0
        item = descriptor.file_path or descriptor.digest.short
        self._meter = Meter(report, "exporting", item, descriptor.size_bytes)

    def read(self, size: int, /) -> bytes:
        """At most so many bytes; none at the end.

        Raises:
            OperationCancelledError: Whoever listens wants no more of it.
        """
        data = self._file.read(size)
        self._hasher.update(data)
        self._done_bytes += len(data)
        self._meter(self._done_bytes)
        return data

    def check(self) -> None:
        """See that all was read, and was right.

        Raises:
            IntegrityError: It was not.
        """
        if self._hasher.hexdigest() != self._descriptor.digest.encoded:
            raise IntegrityError(
                f"The file of blob {self._descriptor.digest} was changed on disk:"
                " `stoker verify --repair` fetches it again."
            )
