"""Files of a model that come from somewhere else: safe names, hashed while they are written."""

from __future__ import annotations

import hashlib
import re
import shutil
import time
from pathlib import Path
from typing import BinaryIO, Protocol

from stoker.digest import Digest
from stoker.errors import IntegrityError, InvalidArtifactError, UnavailableError
from stoker.manifest import ANNOTATION_FILE_PATH, Descriptor
from stoker.media_types import MediaType
from stoker.store import Progress, ReportProgress

CHUNK_BYTES = 1024 * 1024
PROGRESS_INTERVAL_S = 0.1

# The plain part of what file systems allow, so that no name means something special to any of them.
_SAFE_PART = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.+-]{0,199}")


class ByteStream(Protocol):
    """Where bytes come from: an open file, a member of an archive, an HTTP response."""

    def read(self, size: int, /) -> bytes:
        """At most so many bytes; none at the end."""


def check_file_path(path: str) -> None:
    """Refuse a path that could leave the folder that it is meant for.

    Raises:
        InvalidArtifactError: It is no relative path of plain names.
    """
    if not all(_SAFE_PART.fullmatch(part) for part in path.split("/")):
        raise InvalidArtifactError(
            f"{path[:200]!r} is no safe path for a file: plain names joined by / are."
        )


def create_file(directory: Path, path: str, size_bytes: int | None) -> BinaryIO:
    """Create a file of a model, and the folders above it.

    Args:
        directory: The folder of the model's files.
        path: The file's path in it, which was checked.
        size_bytes: How large it will be; None when nobody knows.

    Raises:
        InvalidArtifactError: Another file has the path, or a part of it.
        UnavailableError: The disk has less room than that.
    """
    target = directory / path
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        file = target.open("xb")
    except (FileExistsError, NotADirectoryError) as exc:
        raise InvalidArtifactError(f"Two files of the model clash at {path[:200]!r}.") from exc
    if size_bytes is not None and size_bytes > shutil.disk_usage(target.parent).free:
        file.close()
        raise UnavailableError(
            f"{path} has {size_bytes} bytes, and the disk has less room: make some and try again."
        )
    return file


def write_layer(
    source: ByteStream,
    directory: Path,
    path: str,
    media_type: MediaType,
    *,
    size_bytes: int | None,
    stage: str,
    progress: ReportProgress,
) -> Descriptor:
    """Copy a stream into a file, and hash it on the way.

    Args:
        source: The bytes. It is read to its end and not closed.
        directory: The folder of the model's files.
        path: The file's path in it, which anybody may have made up: it is checked.
        media_type: What the file is.
        size_bytes: How many bytes are announced; more are never written. None when nobody said.
        stage: A word for people, as in `Progress`: "downloading", "extracting".
        progress: Told about bytes written, now and then and at the end.

    Returns:
        The layer, with the path as its annotation.

    Raises:
        InvalidArtifactError: The path is not safe, or another file has it.
        IntegrityError: There are fewer or more bytes than announced.
        UnavailableError: The disk has less room than that.
        OperationCancelledError: The user has given up; half a file is left in the folder.
    """
    check_file_path(path)
    hasher = hashlib.sha256()
    done_bytes = 0
    told_s = float("-inf")
    with create_file(directory, path, size_bytes) as file:
        while chunk := source.read(CHUNK_BYTES):
            done_bytes += len(chunk)
            if size_bytes is not None and done_bytes > size_bytes:
                break
            hasher.update(chunk)
            file.write(chunk)
            if time.monotonic() - told_s >= PROGRESS_INTERVAL_S:
                told_s = time.monotonic()
                progress(Progress(stage, path, done_bytes, size_bytes))
    if size_bytes is not None and done_bytes != size_bytes:
        found = "more" if done_bytes > size_bytes else f"only {done_bytes}"
        raise IntegrityError(f"{path} was announced with {size_bytes} bytes, but {found} came.")
    progress(Progress(stage, path, done_bytes, size_bytes))
    digest = Digest("sha256", hasher.hexdigest())
    return Descriptor(media_type, digest, done_bytes, {ANNOTATION_FILE_PATH: path})
