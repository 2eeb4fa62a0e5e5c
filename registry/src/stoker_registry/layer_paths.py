"""Where the layers of an artifact go in a bundle: relative paths, checked.

The paths come from whoever built the artifact. What could leave the folder, or lets two layers
meet, is refused and never repaired: a repaired name is a name that nobody chose.
"""

from __future__ import annotations

import itertools
import unicodedata
from collections import Counter
from collections.abc import Sequence
from pathlib import PurePosixPath

from stoker.artifact import Layer
from stoker.errors import InvalidArtifactError
from stoker.media_types import DDUF, GGUF, SAFETENSORS, Role

_MAX_PART_BYTES = 255
_MAX_PATH_BYTES = 1024

_EXTENSIONS = {GGUF: ".gguf", SAFETENSORS: ".safetensors", DDUF: ".dduf"}
_STEMS = {
    Role.WEIGHTS: "model",
    Role.PROJECTOR: "mmproj",
    Role.CHAT_TEMPLATE: "chat_template",
    Role.LICENSE: "LICENSE",
}


def layer_paths(layers: Sequence[Layer]) -> tuple[PurePosixPath, ...]:
    """Choose a path for every layer: the annotated one, else one after its role.

    Shards without names of their own get those that llama.cpp looks for:
    `model-00001-of-00003.gguf`.

    Raises:
        InvalidArtifactError: A path leaves the bundle or is malformed, or two clash.
    """
    totals = Counter(layer.role for layer in layers if layer.descriptor.file_path is None)
    counters = {role: itertools.count(1) for role in Role}
    paths = []
    for layer in layers:
        text = layer.descriptor.file_path
        if text is None:
            paths.append(_default_path(layer, next(counters[layer.role]), totals[layer.role]))
        else:
            paths.append(check_path(text))
    refuse_clashes(paths)
    return tuple(paths)


def _default_path(layer: Layer, number: int, total: int) -> PurePosixPath:
    stem = _STEMS.get(layer.role, layer.role.value)
    extension = _EXTENSIONS.get(layer.media_type, "") if layer.media_type else ""
    if layer.role is Role.CHAT_TEMPLATE:
        extension = ".jinja"
    if total > 1:
        stem += f"-{number:05}-of-{total:05}"
    return PurePosixPath(stem + extension)


def check_path(text: str) -> PurePosixPath:
    """A path that stays in its folder.

    Raises:
        InvalidArtifactError: It leaves the folder or is malformed.
    """
    # `./model.gguf` is what `tar` and `find` print, and means no harm.
    relative = text.removeprefix("./")
    parts = relative.split("/")
    if (
        # Control characters and lone surrogates; the latter could not even be measured below.
        any(unicodedata.category(char) in {"Cc", "Cs"} for char in relative)
        or any(part in {"", ".", ".."} or len(part.encode()) > _MAX_PART_BYTES for part in parts)
        or len(relative.encode()) > _MAX_PATH_BYTES
        or "\\" in relative
    ):
        raise InvalidArtifactError(
            f"The artifact names a file {text[:200]!r}, which is no relative path inside a folder;"
            " its publisher has to package it again."
        )
    return PurePosixPath(relative)


def refuse_clashes(paths: Sequence[PurePosixPath]) -> None:
    """See that all files can stand side by side, on any file system.

    Raises:
        InvalidArtifactError: Two of them want one path.
    """
    files: set[tuple[str, ...]] = set()
    folders: set[tuple[str, ...]] = set()
    for path in paths:
        # Some file systems fold case and Unicode forms: what clashes there is refused everywhere.
        parts = tuple(unicodedata.normalize("NFC", part).casefold() for part in path.parts)
        parents = {parts[:length] for length in range(1, len(parts))}
        if parts in files or parts in folders or parents & files:
            raise InvalidArtifactError(
                f"Two files of the artifact want the path {str(path)!r};"
                " its publisher has to package it again."
            )
        files.add(parts)
        folders |= parents
