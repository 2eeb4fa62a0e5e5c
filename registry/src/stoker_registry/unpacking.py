"""Layers that are packed in a tar: their files, taken out with care.

What is in a tar was chosen by whoever built the artifact. Only plain files and folders are taken;
links, devices and paths that leave the folder make the whole artifact invalid. What comes out is
bounded, and so is the memory that reading takes, whatever the archive claims.
"""

from __future__ import annotations

import contextlib
import gzip
import tarfile
import zlib
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import IO, Any, Protocol, cast

import attrs

from stoker.errors import InvalidArtifactError
from stoker.layer_file import create_file
from stoker.media_types import MediaType
from stoker_registry.blobs import CHUNK_BYTES
from stoker_registry.formats import DOCKER_FILE
from stoker_registry.layer_paths import check_path

# Weights hardly shrink; texts do, tenfold at most, and are small.
_MAX_RATIO = 16
_FREE_BYTES = 64 * 1024 * 1024
_MAX_FILES = 10_000
_MAX_READ_BYTES = 4 * 1024 * 1024
"""At once: what a tar says of its members (long names, ...) is read whole into memory."""
_ZSTD_WINDOW_BYTES = 128 * 1024 * 1024

_SUFFIXES = {".tar": "", ".tar+gzip": "gzip", ".tar+zstd": "zstd"}
_DOCKER_TARS = {
    "application/vnd.docker.ai.vllm.config.tar",
    "application/vnd.docker.ai.dir.tar",
}
_KEPT_PACKED = (".code.v1", ".dataset.v1")
"""Nothing here looks into these, so nothing takes them apart."""


@attrs.frozen
class Packing:
    """How a layer is packed."""

    inner: MediaType
    """The media type that its files would have as layers of their own."""
    compression: str
    """`gzip`, `zstd` or nothing."""


@attrs.frozen
class UnpackedFile:
    """A file that was in a layer."""

    path: PurePosixPath
    size_bytes: int


def packing_of(media_type: MediaType) -> Packing | None:
    """How layers of a media type are packed; None for those that are files themselves."""
    if media_type in _DOCKER_TARS:
        return Packing(DOCKER_FILE, "")
    for suffix, compression in _SUFFIXES.items():
        kind = media_type.removesuffix(suffix)
        if kind != media_type and kind.endswith(".v1") and not kind.endswith(_KEPT_PACKED):
            return Packing(MediaType(f"{kind}.raw"), compression)
    return None


def unpack(blob: Path, packing: Packing, target: Path, *, name: str) -> tuple[UnpackedFile, ...]:
    """Take the files out of a layer.

    Args:
        blob: The layer's file.
        packing: How it is packed.
        target: The folder to put them in, under their paths; a file that is there is not replaced.
        name: What errors call the layer.

    Returns:
        The files, sorted by path.

    Raises:
        InvalidArtifactError: It is no such archive, is hostile, or holds too much.
        UnavailableError: The disk has no room.
    """
    limit_bytes = blob.stat().st_size * _MAX_RATIO + _FREE_BYTES
    # The errors of three libraries on bytes that are not theirs: all mean a bad archive.
    unreadable: tuple[type[BaseException], ...] = (
        *(tarfile.TarError, gzip.BadGzipFile, EOFError, ValueError, zlib.error),
        *_zstd_errors(),
    )
    try:
        with (
            blob.open("rb") as file,
            _decompressed(file, packing.compression) as stream,
            tarfile.open(fileobj=cast("Any", _Forward(stream, limit_bytes)), mode="r:") as archive,
        ):
            found = [
                UnpackedFile(path, _extract(archive, member, target, path))
                for member, path in _files(archive)
            ]
    except InvalidArtifactError as exc:
        raise InvalidArtifactError(
            f"Layer {name} cannot be unpacked: {str(exc).rstrip('.')}."
        ) from exc
    except unreadable as exc:
        raise InvalidArtifactError(f"Layer {name} is no archive that can be read: {exc}.") from exc
    return tuple(sorted(found, key=lambda item: item.path))


def _files(archive: tarfile.TarFile) -> Iterator[tuple[tarfile.TarInfo, PurePosixPath]]:
    count = 0
    for member in archive:
        if member.isdir():
            continue
        count += 1
        if count > _MAX_FILES:
            raise InvalidArtifactError(f"it holds more than {_MAX_FILES} files")
        if not member.isreg() or member.issparse():
            raise InvalidArtifactError(
                f"it holds {member.name[:200]!r}, which is a link, a device or the like"
            )
        yield member, check_path(member.name)


def _extract(
    archive: tarfile.TarFile, member: tarfile.TarInfo, target: Path, path: PurePosixPath
) -> int:
    source = archive.extractfile(member)
    if source is None:
        raise InvalidArtifactError(f"{member.name[:200]!r} has no content")
    with create_file(target, str(path), member.size) as file:
        written = 0
        while chunk := source.read(CHUNK_BYTES):
            file.write(chunk)
            written += len(chunk)
    if written != member.size:
        raise InvalidArtifactError(f"it ends within {member.name[:200]!r}")
    (target / path).chmod(0o444)
    return written


class _Readable(Protocol):
    def read(self, size: int, /) -> bytes: ...


class _Forward:
    """A stream that pretends to be a file, as far as `tarfile` needs one.

    `tarfile` seeks forward, and back by the one byte that it read last.
    """

    def __init__(self, stream: _Readable, limit_bytes: int) -> None:
        self._stream = stream
        self._limit_bytes = limit_bytes
        self._position = 0
        self._end = 0
        """Where the stream itself is: at most one byte further on."""
        self._last = b""

    def tell(self) -> int:
        return self._position

    def seek(self, position: int) -> None:
        if position not in {self._end, self._end - 1} and position < self._end:
            raise InvalidArtifactError("its parts do not follow each other")
        if position == self._end - 1 and not self._last:
            raise InvalidArtifactError("its parts do not follow each other")
        while self._end < position:
            if not self._take(min(CHUNK_BYTES, position - self._end)):
                break
        self._position = min(position, self._end)

    def read(self, size: int) -> bytes:
        if size < 0 or size > _MAX_READ_BYTES:
            raise InvalidArtifactError("it claims names or notes of many megabytes")
        data = b""
        if size and self._position < self._end:
            data = self._last
            self._position += 1
        while len(data) < size and (chunk := self._take(size - len(data))):
            data += chunk
        self._position = self._end if data else self._position
        return data

    def _take(self, size: int) -> bytes:
        chunk = self._stream.read(size)
        if chunk:
            self._end += len(chunk)
            self._last = chunk[-1:]
        if self._end > self._limit_bytes:
            raise InvalidArtifactError(
                f"it becomes more than {self._limit_bytes} bytes, far more than its size allows"
            )
        return chunk


@contextlib.contextmanager
def _decompressed(file: IO[bytes], compression: str) -> Iterator[_Readable]:
    if compression == "gzip":
        with gzip.GzipFile(fileobj=file, mode="rb") as stream:
            yield stream
    elif compression == "zstd":
        import zstandard  # noqa: PLC0415 - packed layers are rare

        decompressor = zstandard.ZstdDecompressor(max_window_size=_ZSTD_WINDOW_BYTES)
        with decompressor.stream_reader(file, read_across_frames=True) as stream:
            yield stream
    else:
        yield file


def _zstd_errors() -> tuple[type[BaseException], ...]:
    import zstandard  # noqa: PLC0415 - packed layers are rare

    return (zstandard.ZstdError,)
