"""Image layouts from elsewhere, as folders or tars: their files by name, and no others.

Whoever made a layout may mean harm. Only plain files are read, nothing is unpacked, and what a tar
says of its members is bounded. What the files hold is for the reader to check.
"""

from __future__ import annotations

import contextlib
import io
import os
import stat
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Protocol

import attrs

from stoker.errors import InvalidArtifactError, InvalidInputError

_MAX_MEMBERS = 100_000
_MAX_HEADER_BYTES = 1024 * 1024
"""Long names and notes of a tar are read whole into memory."""


class LayoutSource(Protocol):
    """The files of a layout."""

    def open(self, name: str) -> contextlib.AbstractContextManager[IO[bytes]]:
        """Open a file of the layout.

        Raises:
            InvalidArtifactError: There is none, or it is no plain file.
        """


@contextlib.contextmanager
def open_source(path: Path) -> Iterator[LayoutSource]:
    """Open a layout.

    Raises:
        InvalidInputError: There is nothing, or it cannot be read.
        InvalidArtifactError: It is no layout.
    """
    try:
        if path.is_dir():
            yield FolderSource(path)
            return
        with _plain_file(path) as file:
            yield TarSource.read(path, file)
    except OSError as exc:
        raise InvalidInputError(f"{path} cannot be read: {exc.strerror or exc}.") from exc


@attrs.frozen
class FolderSource:
    """A layout that is a folder."""

    folder: Path

    @contextlib.contextmanager
    def open(self, name: str) -> Iterator[IO[bytes]]:
        """Open a file of the layout.

        Raises:
            InvalidArtifactError: There is none, or it is no plain file.
        """
        try:
            opened = _plain_file(self.folder / name)
        except OSError as exc:
            raise InvalidArtifactError(
                f"{self.folder} is no whole image layout: {name} cannot be read"
                f" ({exc.strerror or exc})."
            ) from exc
        with opened as file:
            yield file


def _plain_file(path: Path) -> IO[bytes]:
    """Open a file without waiting for anybody, as a pipe would."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise InvalidArtifactError(f"{path} is no plain file.")
    return os.fdopen(descriptor, "rb")


class _Bounded(io.BufferedIOBase):
    """A file of which little is read at once, as long as its headers are read."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file

    def read(self, size: int | None = -1, /) -> bytes:
        if size is None or not 0 <= size <= _MAX_HEADER_BYTES:
            raise InvalidArtifactError("A tar claims names or notes of many megabytes.")
        return self._file.read(size)

    def seek(self, offset: int, whence: int = 0, /) -> int:
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        return self._file.tell()


class _Part(io.RawIOBase):
    """A part of a file, as a file."""

    def __init__(self, file: IO[bytes], start: int, size_bytes: int) -> None:
        self._file = file
        self._position = start
        self._end = start + size_bytes

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: object, /) -> int:
        view = memoryview(buffer).cast("B")  # type: ignore[arg-type]  # any writable buffer
        self._file.seek(self._position)
        data = self._file.read(min(len(view), self._end - self._position))
        view[: len(data)] = data
        self._position += len(data)
        return len(data)


@attrs.frozen
class TarSource:
    """A layout that is a tar on a disk, whose files are read where they are."""

    path: Path
    file: IO[bytes]
    parts: dict[str, tuple[int, int]]
    """Where each file begins, and its size."""

    @classmethod
    def read(cls, path: Path, file: IO[bytes]) -> TarSource:
        """Look through the tar's headers.

        Raises:
            InvalidArtifactError: It is no tar, or a hostile one.
        """
        parts: dict[str, tuple[int, int]] = {}
        try:
            with tarfile.open(fileobj=_Bounded(file), mode="r:") as archive:
                for count, member in enumerate(iter(archive.next, None)):
                    # `tarfile` remembers all members, and nobody asks it for them again.
                    archive.members.clear()  # type: ignore[attr-defined]  # a plain list
                    if count >= _MAX_MEMBERS:
                        raise InvalidArtifactError(f"{path} holds more than {_MAX_MEMBERS} files.")
                    if member.isdir():
                        continue
                    name = member.name.removeprefix("./")
                    if not member.isreg() or member.issparse() or name in parts:
                        raise InvalidArtifactError(
                            f"{path} holds {name[:200]!r}, which is a link, a device or there"
                            " twice."
                        )
                    parts[name] = member.offset_data, member.size
        except (tarfile.TarError, EOFError, ValueError) as exc:
            raise InvalidArtifactError(
                f"{path} is no tar of an image layout ({exc}); a compressed one has to be"
                " decompressed first."
            ) from exc
        return cls(path, file, parts)

    @contextlib.contextmanager
    def open(self, name: str) -> Iterator[IO[bytes]]:
        """Open a file of the layout.

        Raises:
            InvalidArtifactError: There is none.
        """
        if name not in self.parts:
            raise InvalidArtifactError(f"{self.path} is no whole image layout: it has no {name}.")
        yield io.BufferedReader(_Part(self.file, *self.parts[name]))
