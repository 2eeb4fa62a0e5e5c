"""The JSON files of a folder store: the configs of its models, and its names.

The config is Docker's, which registries and other tools read:
https://github.com/docker/model-spec/blob/main/config.md
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from stoker.artifact import ModelFacts
from stoker.errors import InvalidArtifactError
from stoker.manifest import Descriptor
from stoker.media_types import MediaType

CONFIG = MediaType("application/vnd.docker.ai.model.config.v0.1+json")


class NameRecord(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which model a reference means."""

    repository: str
    digest: str
    created_s: float


class ModelWire(msgspec.Struct, frozen=True, omit_defaults=True):
    """The key `config`: see `stoker.artifact.ModelFacts`."""

    format: str | None = None
    architecture: str | None = None
    parameters: str | None = None
    quantization: str | None = None
    context_size: int | None = None


class DescriptorWire(msgspec.Struct, frozen=True):
    """The key `descriptor`; with a time in it, no two pulls had one digest."""


class RootfsWire(msgspec.Struct, frozen=True):
    """The key `rootfs`: the layers' digests, as nothing is compressed."""

    diff_ids: tuple[str, ...]
    type: str = "rootfs"


class ConfigWire(msgspec.Struct, frozen=True):
    """A model's config."""

    config: ModelWire
    rootfs: RootfsWire
    descriptor: DescriptorWire = DescriptorWire()


def encode_config(facts: ModelFacts, layers: Sequence[Descriptor]) -> bytes:
    """Write a config: the same model always gives the same bytes."""
    model = ModelWire(
        format=facts.format,
        architecture=facts.architecture,
        parameters=facts.parameters,
        quantization=facts.quantization,
        context_size=facts.context_length,
    )
    rootfs = RootfsWire(tuple(str(layer.digest) for layer in layers))
    return msgspec.json.encode(ConfigWire(model, rootfs), order="sorted")


def decode_config(data: bytes) -> ModelFacts:
    """Read what a config says of its model.

    Raises:
        InvalidArtifactError: It is malformed.
    """
    try:
        model = msgspec.json.decode(data, type=ConfigWire).config
    except (msgspec.MsgspecError, UnicodeDecodeError) as exc:
        raise InvalidArtifactError(f"The model's config is malformed: {exc}.") from exc
    return ModelFacts(
        format=model.format,
        architecture=model.architecture,
        parameters=model.parameters,
        quantization=model.quantization,
        context_length=model.context_size,
    )
