"""A folder with a model in it: which of its files belong to the model, and what they are for.

Such folders come from `git clone`, from converters, and from Hugging Face's cache, whose snapshots
are folders of links: https://huggingface.co/docs/huggingface_hub/guides/manage-cache
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath

import attrs
import msgspec

from stoker.digest import Digest
from stoker.errors import InvalidArtifactError, InvalidInputError
from stoker.formats import FormatTable
from stoker.manifest import ANNOTATION_FILE_PATH, Descriptor
from stoker.media_types import DDUF, GGUF, SAFETENSORS, MediaType, Role
from stoker.weights import ModelFile, read_gguf_header
from stoker.wire.malformed import MALFORMED
from stoker_registry.formats import ADAPTER_NAMES, DOCKER_FILE, FORMAT_RULES

_TABLE = FormatTable.of(FORMAT_RULES)
_WEIGHTS = {".gguf": GGUF, ".safetensors": SAFETENSORS, ".dduf": DDUF}
_INDEX = ".safetensors.index.json"
_MAX_INDEX_BYTES = 64 * 1024 * 1024
_MAX_FILES = 10_000


class _ShardIndex(msgspec.Struct, frozen=True):
    weight_map: dict[str, str]


@attrs.frozen
class ModelDirectory:
    """The files of a model in a folder."""

    files: tuple[ModelFile, ...]
    """Weights first, the shards in order; then all others by name."""
    left_out: tuple[str, ...]
    """Names of files that are no part of a model, as far as stoker knows."""


def read_directory(directory: Path) -> ModelDirectory:
    """Look through a folder. Hidden files are nobody's business.

    Args:
        directory: The folder of a model, or of a repository in Hugging Face's cache.

    Raises:
        InvalidInputError: There is no such folder, it holds no weights or those of several
            models, or a link in it leads elsewhere.
        InvalidArtifactError: A file is not what it should be, or a shard is missing.
    """
    directory = _snapshot(directory)
    found: dict[Role, list[ModelFile]] = {}
    left_out = []
    for name, path in _walk(directory):
        role, media_type = _kind(name)
        if role is Role.OTHER:
            left_out.append(name)
        else:
            found.setdefault(role, []).append(ModelFile(name, path, role, media_type))
    weights = found.pop(Role.WEIGHTS, [])
    kinds = sorted({str(file.media_type) for file in weights})
    if len(kinds) != 1:
        raise InvalidInputError(
            f"{directory} holds weights of several kinds ({', '.join(kinds)}): name the files."
            if kinds
            else f"{directory} holds no weights that stoker knows ({', '.join(_WEIGHTS)})."
        )
    if kinds == [GGUF]:
        weights = _gguf_shards(directory, weights)
    elif kinds == [SAFETENSORS]:
        shards = _indexed_shards(found.get(Role.CONFIG, []), weights)
        left_out += [file.name for file in weights if file not in shards]
        weights = shards
    others = sorted(
        (file for files in found.values() for file in files), key=lambda file: file.name
    )
    return ModelDirectory((*weights, *others), tuple(left_out))


def _snapshot(directory: Path) -> Path:
    """The folder itself or, for a repository of Hugging Face's cache, its main revision's."""
    snapshots = directory / "snapshots"
    try:
        if not directory.is_dir():
            raise InvalidInputError(f"There is no folder {directory}.")
        if not snapshots.is_dir():
            return directory
        main = directory / "refs" / "main"
        if main.is_file():
            revision = main.read_text(encoding="ascii").strip()
            if revision and "/" not in revision and (snapshots / revision).is_dir():
                return snapshots / revision
        revisions = sorted(snapshots.iterdir())
    except (OSError, UnicodeDecodeError) as exc:
        raise InvalidInputError(f"{directory} cannot be read: {exc}.") from exc
    if len(revisions) != 1:
        raise InvalidInputError(
            f"{directory} holds {len(revisions)} revisions and no main one: name one of the"
            f" folders in {snapshots}."
        )
    return revisions[0]


def _walk(directory: Path) -> Iterator[tuple[str, Path]]:
    home = directory.resolve()
    # A snapshot's links lead to the blobs of their own repository, and nowhere else.
    snapshots = (path.parent for path in (home, *home.parents) if path.parent.name == "snapshots")
    allowed = next((path.parent for path in snapshots), home)
    count = 0
    for folder, folders, names in os.walk(home):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(names):
            if name.startswith("."):
                continue
            path = Path(folder, name)
            target = path.resolve()
            if not target.is_file():
                raise InvalidInputError(f"{path} is no file, or a link that leads nowhere.")
            if not target.is_relative_to(allowed):
                raise InvalidInputError(
                    f"{path} leads out of the folder, to {target}: put the file itself there."
                )
            count += 1
            if count > _MAX_FILES:
                raise InvalidInputError(f"{directory} holds more than {_MAX_FILES} files.")
            yield PurePosixPath(path.relative_to(home)).as_posix(), target


def _kind(name: str) -> tuple[Role, MediaType | None]:
    """What a file is: the weights by their ending, all others as in an artifact of files."""
    lower = name.lower()
    media_type = _WEIGHTS.get(PurePosixPath(lower).suffix)
    if media_type == SAFETENSORS and PurePosixPath(lower).name in ADAPTER_NAMES:
        return Role.ADAPTER, media_type
    if media_type is not None:
        # By this word, and by nothing else, is a projector known in most places.
        is_projector = media_type == GGUF and "mmproj" in PurePosixPath(lower).name
        return (Role.PROJECTOR if is_projector else Role.WEIGHTS), media_type
    layer = Descriptor(DOCKER_FILE, Digest.of(b""), 0, {ANNOTATION_FILE_PATH: name})
    return _TABLE.layer(layer).role, None


def _gguf_shards(directory: Path, weights: Sequence[ModelFile]) -> list[ModelFile]:
    if len(weights) == 1:
        return list(weights)
    headers = {file: read_gguf_header(file.path) for file in weights}
    if any(header.shard_count != len(weights) for header in headers.values()):
        names = ", ".join(file.name for file in weights)
        raise InvalidInputError(f"{directory} holds several models ({names}): name one of them.")
    return sorted(weights, key=lambda file: headers[file].shard_index)


def _indexed_shards(configs: Sequence[ModelFile], weights: Sequence[ModelFile]) -> list[ModelFile]:
    """The shards that the index names; all files without one.

    Publishers put the same weights in other packagings beside them, which nobody wants twice.
    """
    indexes = [file for file in configs if file.name.endswith(_INDEX)]
    if not indexes:
        return list(weights)
    wanted: set[str] = set()
    for index in indexes:
        folder = PurePosixPath(index.name).parent
        for name in _weight_map(index.path).values():
            wanted.add((folder / name).as_posix())
    by_name = {file.name: file for file in weights}
    missing = sorted(wanted - set(by_name))
    if missing:
        raise InvalidArtifactError(
            f"{indexes[0].name} names {missing[0]}, which is not there"
            f" ({len(missing)} of {len(wanted)} files are missing)."
        )
    return [file for file in weights if file.name in wanted]


def _weight_map(path: Path) -> dict[str, str]:
    with path.open("rb") as file:
        data = file.read(_MAX_INDEX_BYTES)
    try:
        return msgspec.json.decode(data, type=_ShardIndex).weight_map
    except MALFORMED as exc:
        raise InvalidArtifactError(f"{path.name} is no index of shards: {exc}.") from exc
