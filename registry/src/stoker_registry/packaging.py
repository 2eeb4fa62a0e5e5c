"""Packaging: from files of a user to the layers and the config of an artifact.

Two forms can be written: Docker's (config v0.1 for weights and what belongs to them, v0.2 for the
files of a folder) and ModelPack's. Nothing of the machine or the moment goes in, so the same files
give the same digest.
"""

from __future__ import annotations

import fnmatch
import logging
from collections.abc import Sequence
from pathlib import Path

import attrs
import msgspec

from stoker.artifact import Layer, ModelFacts
from stoker.digest import Digest
from stoker.errors import InvalidArtifactError, InvalidInputError
from stoker.manifest import ANNOTATION_FILE_PATH, Descriptor, Manifest
from stoker.media_types import GGUF, MediaType, Role
from stoker.store import PackageSource
from stoker.weights import GgufHeader, ModelFile, read_facts, read_gguf_header
from stoker.wire.model_config import (
    DOCKER_CONFIG_V01,
    DOCKER_CONFIG_V02,
    EPOCH,
    DockerConfig,
)
from stoker_registry.formats import DOCKER_FILE
from stoker_registry.layer_paths import layer_paths
from stoker_registry.model_config import (
    MODELPACK_ARTIFACT,
    MODELPACK_CONFIG,
    ModelPackConfig,
    ModelPackDescriptor,
    ModelPackFs,
    ModelPackModel,
    encode_config,
)
from stoker_registry.model_directory import read_directory

# https://github.com/modelpack/model-spec/blob/v0.0.7/docs/annotations.md
ANNOTATION_FILE_METADATA = "org.cncf.model.file.metadata+json"
ANNOTATION_UNTESTED = "org.cncf.model.file.mediatype.untested"

_log = logging.getLogger(__name__)

_DOCKER_TYPES = {
    Role.PROJECTOR: MediaType("application/vnd.docker.ai.mmproj"),
    Role.CHAT_TEMPLATE: MediaType("application/vnd.docker.ai.chat.template.jinja"),
    Role.LICENSE: MediaType("application/vnd.docker.ai.license"),
}
_MODELPACK_WEIGHTS = MediaType("application/vnd.cncf.model.weight.v1.raw")
_MODELPACK_TYPES = {
    Role.PROJECTOR: MediaType("application/vnd.cncf.model.weight.v1.raw"),
    Role.LICENSE: MediaType("application/vnd.cncf.model.doc.v1.raw"),
    Role.DOC: MediaType("application/vnd.cncf.model.doc.v1.raw"),
}
_TYPES = {"docker": _DOCKER_TYPES, "modelpack": _MODELPACK_TYPES}
_OTHER_TYPES = {
    "docker": DOCKER_FILE,
    "modelpack": MediaType("application/vnd.cncf.model.weight.config.v1.raw"),
}
"""Of files with any other role: what is in a file says its name."""

_LICENSE_NAMES = ("license*", "licence*", "copying*", "notice*")


class _FileMetadata(msgspec.Struct, frozen=True):
    """The annotation that keeps a file's metadata; all but name and size are fixed."""

    name: str
    size: int
    mode: int = 0o644
    uid: int = 0
    gid: int = 0
    mtime: str = EPOCH
    typeflag: int = ord("0")


@attrs.frozen
class SourceFile:
    """A file to package."""

    path: Path
    role: Role
    name: str
    """Its path within the artifact."""


@attrs.frozen
class PackagePlan:
    """What a packaging is going to write, once the files' digests are known."""

    files: tuple[SourceFile, ...]
    facts: ModelFacts
    """What the weights say of the model; nothing when they are of a plugin's own type."""
    name: str | None
    """The model's own name, where the weights have one."""
    format: str
    weights_type: MediaType

    def layer(self, file: SourceFile, digest: Digest, size_bytes: int) -> Descriptor:
        """The layer that a file becomes."""
        # The path is its own annotation; this one holds what a folder would list.
        metadata = _FileMetadata(name=file.name.rpartition("/")[2], size=size_bytes)
        types = _TYPES[self.format]
        return Descriptor(
            media_type=(
                self.weights_type
                if file.role is Role.WEIGHTS
                else types.get(file.role, _OTHER_TYPES[self.format])
            ),
            digest=digest,
            size_bytes=size_bytes,
            annotations={
                ANNOTATION_FILE_PATH: file.name,
                ANNOTATION_FILE_METADATA: msgspec.json.encode(metadata, order="sorted").decode(),
                ANNOTATION_UNTESTED: "false",
            },
        )

    def config(self, layers: Sequence[Descriptor]) -> bytes:
        """The config's bytes."""
        facts = self.facts
        diff_ids = tuple(str(layer.digest) for layer in layers)
        if self.format == "modelpack":
            return encode_config(
                ModelPackConfig(
                    descriptor=ModelPackDescriptor(
                        created_at=EPOCH,
                        name=self.name,
                        licenses=(facts.license,) if facts.license else None,
                    ),
                    config=ModelPackModel(
                        architecture=facts.architecture,
                        format=facts.format,
                        param_size=facts.parameters,
                        quantization=facts.quantization,
                    ),
                    modelfs=ModelPackFs(diff_ids=diff_ids),
                )
            )
        weights_bytes = sum(
            layer.size_bytes for layer in layers if layer.media_type == self.weights_type
        )
        size = f"{weights_bytes / 1024**2:.2f} MiB"
        return encode_config(DockerConfig.from_domain(facts, layers, name=self.name, size=size))

    def manifest(self, config: bytes, layers: Sequence[Descriptor]) -> Manifest:
        """The manifest over the config and the layers."""
        modelpack = self.format == "modelpack"
        has_files = any(layer.media_type == DOCKER_FILE for layer in layers)
        docker_type = DOCKER_CONFIG_V02 if has_files else DOCKER_CONFIG_V01
        return Manifest(
            config=Descriptor(
                media_type=MODELPACK_CONFIG if modelpack else docker_type,
                digest=Digest.of(config),
                size_bytes=len(config),
            ),
            layers=tuple(layers),
            artifact_type=MODELPACK_ARTIFACT if modelpack else None,
        )


def plan_package(source: PackageSource) -> PackagePlan:
    """Check the files, and choose their names within the artifact.

    Raises:
        InvalidInputError: A file is missing, there are no weights, or the form is unknown.
        InvalidArtifactError: A file is not what it should be, or shards are missing or mixed up.
    """
    if source.format not in _TYPES:
        raise InvalidInputError(
            f"{source.format!r} is not a form of artifact that can be written: use"
            f" {' or '.join(_TYPES)}."
        )
    if source.directory is not None:
        files, facts, model_name, weights_type = _of_directory(source, source.directory)
    elif not source.weights:
        raise InvalidInputError("There is nothing to package: name the files of the weights.")
    else:
        files, facts, model_name, weights_type = _of_weights(source)
    if source.format == "modelpack":
        weights_type = _MODELPACK_WEIGHTS
    files += _additions(source)
    plan = PackagePlan(tuple(files), facts, model_name, source.format, weights_type)
    # Names that nobody could unpack are refused here, not when somebody has pulled the model.
    nothing = Digest.of(b"")
    layer_paths([Layer(plan.layer(file, nothing, 0), None, file.role) for file in files])
    return plan


_Found = tuple[list[SourceFile], ModelFacts, str | None, MediaType]
"""The files, what they say of the model, its name, and the weights' canonical type."""


def _of_weights(source: PackageSource) -> _Found:
    files = [SourceFile(path, Role.WEIGHTS, path.name) for path in source.weights]
    if source.media_type is not None:
        _check_own_type(source)
        return files, ModelFacts(), None, source.media_type
    headers = tuple(read_gguf_header(path) for path in source.weights)
    _check_shards(source.weights, headers)
    facts = read_facts(ModelFile(file.name, file.path, file.role, GGUF) for file in files)
    return files, facts, headers[0].text("general.name"), GGUF


def _of_directory(source: PackageSource, directory: Path) -> _Found:
    if source.weights or source.media_type is not None:
        raise InvalidInputError("Weights are either in a folder or named one by one, not both.")
    found = read_directory(directory)
    if found.left_out:
        _log.warning("Not packaged, for it is no part of a model: %s", ", ".join(found.left_out))
    replaced = {
        role
        for role, path in (
            (Role.CHAT_TEMPLATE, source.chat_template),
            (Role.PROJECTOR, source.projector),
        )
        if path is not None
    }
    kept = [file for file in found.files if file.role not in replaced]
    weights = [file for file in kept if file.role is Role.WEIGHTS]
    name = None
    if weights[0].media_type == GGUF:
        headers = [read_gguf_header(file.path) for file in weights]
        _check_shards([file.path for file in weights], headers)
        name = headers[0].text("general.name")
    files = [SourceFile(file.path, file.role, file.name) for file in kept]
    return files, read_facts(kept), name, weights[0].media_type or GGUF


def _additions(source: PackageSource) -> list[SourceFile]:
    """The files that are named one by one besides the weights."""
    files = []
    if source.projector is not None:
        read_gguf_header(source.projector)
        files.append(SourceFile(source.projector, Role.PROJECTOR, _projector_name(source)))
    if source.chat_template is not None:
        _check_text(source.chat_template)
        files.append(SourceFile(source.chat_template, Role.CHAT_TEMPLATE, "chat_template.jinja"))
    for path in source.licenses:
        _check_text(path)
        files.append(SourceFile(path, Role.LICENSE, _license_name(path)))
    return files


def _check_own_type(source: PackageSource) -> None:
    if source.format != "docker":
        raise InvalidInputError(
            f"A {source.format} artifact has media types of its own for all weights: leave the"
            " media type out, or write the form docker."
        )
    for path in source.weights:
        if not path.is_file():
            raise InvalidInputError(f"There is no file {path}.")


def _check_shards(paths: Sequence[Path], headers: Sequence[GgufHeader]) -> None:
    for position, (path, header) in enumerate(zip(paths, headers, strict=True)):
        if header.shard_count != len(paths):
            raise InvalidArtifactError(
                f"{path.name} is one of {header.shard_count} shards, but {len(paths)} were given:"
                " name all shards of the model, and only those."
            )
        if header.shard_index != position:
            raise InvalidArtifactError(
                f"{path.name} is shard {header.shard_index + 1} of {header.shard_count}, but stands"
                f" in place {position + 1}: name the shards in their order."
            )


def _projector_name(source: PackageSource) -> str:
    # By this word, and by nothing else, is a projector known in a ModelPack artifact.
    name = source.projector.name if source.projector else ""
    return name if "mmproj" in name.lower() else f"mmproj-{name}"


def _license_name(path: Path) -> str:
    is_license = any(fnmatch.fnmatchcase(path.name.lower(), name) for name in _LICENSE_NAMES)
    return path.name if is_license else f"LICENSE-{path.name}"


def _check_text(path: Path) -> None:
    try:
        path.read_text(encoding="utf-8")
    except OSError as exc:
        raise InvalidInputError(f"{path} cannot be read: {exc.strerror or exc}.") from exc
    except UnicodeDecodeError as exc:
        raise InvalidInputError(f"{path} is not a text in UTF-8.") from exc
