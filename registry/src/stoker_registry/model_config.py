"""The config JSON of model artifacts: Docker's, ModelPack's and Ollama's.

Every key is optional in the wild, unknown keys are tolerated, and a number may stand where a text
is asked for. What is there but of the wrong shape makes the artifact invalid.
"""

from __future__ import annotations

import msgspec

from stoker.artifact import ModelFacts
from stoker.errors import InvalidArtifactError
from stoker.media_types import MediaType
from stoker.wire.malformed import MALFORMED
from stoker.wire.model_config import (
    DOCKER_CONFIG_V01,
    DOCKER_CONFIG_V02,
    DockerConfig,
    Text,
    text_or_none,
)

MODELPACK_CONFIG = MediaType("application/vnd.cncf.model.config.v1+json")
MODELPACK_CONFIG_OLD = MediaType("application/vnd.cnai.model.config.v1+json")
MODELPACK_ARTIFACT = "application/vnd.cncf.model.manifest.v1+json"
OLLAMA_CONFIG = MediaType("application/vnd.docker.container.image.v1+json")

MAX_CONFIG_BYTES = 4 * 1024 * 1024


class ModelPackModel(msgspec.Struct, frozen=True, omit_defaults=True, rename="camel"):
    """The key `config` of ModelPack's config."""

    architecture: str | None = None
    format: str | None = None
    param_size: Text = None
    precision: Text = None
    quantization: Text = None


class ModelPackDescriptor(msgspec.Struct, frozen=True, omit_defaults=True, rename="camel"):
    """The key `descriptor` of ModelPack's config."""

    created_at: str | None = None
    name: str | None = None
    licenses: tuple[str, ...] | None = None


class ModelPackFs(msgspec.Struct, frozen=True, rename="camel"):
    """The key `modelfs` of ModelPack's config."""

    type: str = "layers"
    diff_ids: tuple[str, ...] | None = None


class ModelPackConfig(msgspec.Struct, frozen=True, omit_defaults=True):
    """ModelPack's config; it has no word for the context length.

    https://github.com/modelpack/model-spec/blob/v0.0.7/docs/config.md
    """

    descriptor: ModelPackDescriptor | None = None
    config: ModelPackModel | None = None
    modelfs: ModelPackFs | None = None

    def to_domain(self) -> ModelFacts:
        """What it says of the model."""
        model = self.config or ModelPackModel()
        descriptor = self.descriptor or ModelPackDescriptor()
        return ModelFacts(
            format=model.format or None,
            architecture=model.architecture or None,
            parameters=text_or_none(model.param_size),
            quantization=text_or_none(model.quantization) or text_or_none(model.precision),
            license=", ".join(descriptor.licenses or ()) or None,
        )


class OllamaConfig(msgspec.Struct, frozen=True, omit_defaults=True):
    """Ollama's config: Docker's image config with keys of its own."""

    model_format: str | None = None
    model_family: str | None = None
    model_type: Text = None
    file_type: Text = None
    context_length: int | None = None

    def to_domain(self) -> ModelFacts:
        """What it says of the model."""
        return ModelFacts(
            format=self.model_format or None,
            architecture=self.model_family or None,
            parameters=text_or_none(self.model_type),
            quantization=text_or_none(self.file_type),
            context_length=self.context_length or None,
        )


_KINDS: dict[str, type[DockerConfig | ModelPackConfig | OllamaConfig]] = {
    DOCKER_CONFIG_V01: DockerConfig,
    DOCKER_CONFIG_V02: DockerConfig,
    MODELPACK_CONFIG: ModelPackConfig,
    MODELPACK_CONFIG_OLD: ModelPackConfig,
    OLLAMA_CONFIG: OllamaConfig,
}


def knows_config(media_type: MediaType) -> bool:
    """Whether `read_config` can say anything about such a config."""
    return media_type in _KINDS


def read_config(media_type: MediaType, data: bytes) -> ModelFacts:
    """Read a config; one of an unknown type says nothing.

    Raises:
        InvalidArtifactError: It is malformed.
    """
    kind = _KINDS.get(media_type)
    return ModelFacts() if kind is None else _decode(kind, data).to_domain()


def encode_config(config: DockerConfig | ModelPackConfig) -> bytes:
    """Write a config: the same one always gives the same bytes."""
    return msgspec.json.encode(config, order="sorted")


def _decode(
    kind: type[DockerConfig | ModelPackConfig | OllamaConfig], data: bytes
) -> DockerConfig | ModelPackConfig | OllamaConfig:
    try:
        return msgspec.json.decode(data, type=kind)
    except MALFORMED as exc:
        raise InvalidArtifactError(f"The artifact's config is malformed: {exc}") from exc
