"""The config JSON of model artifacts: Docker's, ModelPack's and Ollama's.

Every key is optional in the wild, unknown keys are tolerated, and a number may stand where a text
is asked for. What is there but of the wrong shape makes the artifact invalid.
"""

from __future__ import annotations

from typing import Any

import msgspec

from stoker.artifact import ModelFacts
from stoker.errors import InvalidArtifactError
from stoker.media_types import MediaType

DOCKER_CONFIG_V01 = MediaType("application/vnd.docker.ai.model.config.v0.1+json")
DOCKER_CONFIG_V02 = MediaType("application/vnd.docker.ai.model.config.v0.2+json")
MODELPACK_CONFIG = MediaType("application/vnd.cncf.model.config.v1+json")
MODELPACK_CONFIG_OLD = MediaType("application/vnd.cnai.model.config.v1+json")
MODELPACK_ARTIFACT = "application/vnd.cncf.model.manifest.v1+json"
OLLAMA_CONFIG = MediaType("application/vnd.docker.container.image.v1+json")

MAX_CONFIG_BYTES = 4 * 1024 * 1024

EPOCH = "1970-01-01T00:00:00Z"
"""The time that packaged artifacts carry: with a real one, no two packagings had one digest."""

_Text = str | int | float | None


class DockerModel(msgspec.Struct, frozen=True, omit_defaults=True):
    """The key `config` of Docker's config."""

    format: str | None = None
    quantization: _Text = None
    parameters: _Text = None
    architecture: str | None = None
    size: _Text = None
    context_size: int | None = None
    gguf: dict[str, Any] | None = None


class DockerDescriptor(msgspec.Struct, frozen=True, omit_defaults=True):
    """The key `descriptor` of Docker's config."""

    created: str | None = None


class DockerRootfs(msgspec.Struct, frozen=True):
    """The key `rootfs` of Docker's config."""

    type: str = "rootfs"
    diff_ids: tuple[str, ...] | None = None


class DockerConfig(msgspec.Struct, frozen=True, omit_defaults=True):
    """Docker's config, v0.1 and v0.2.

    https://github.com/docker/model-spec/blob/main/config.md
    """

    config: DockerModel | None = None
    descriptor: DockerDescriptor | None = None
    rootfs: DockerRootfs | None = None

    def to_domain(self) -> ModelFacts:
        """What it says of the model."""
        model = self.config or DockerModel()
        return ModelFacts(
            format=model.format or None,
            architecture=model.architecture or None,
            parameters=_text(model.parameters),
            quantization=_text(model.quantization),
            context_length=model.context_size or None,
        )


class ModelPackModel(msgspec.Struct, frozen=True, omit_defaults=True, rename="camel"):
    """The key `config` of ModelPack's config."""

    architecture: str | None = None
    format: str | None = None
    param_size: _Text = None
    precision: _Text = None
    quantization: _Text = None


class ModelPackDescriptor(msgspec.Struct, frozen=True, omit_defaults=True, rename="camel"):
    """The key `descriptor` of ModelPack's config."""

    created_at: str | None = None
    name: str | None = None


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
        return ModelFacts(
            format=model.format or None,
            architecture=model.architecture or None,
            parameters=_text(model.param_size),
            quantization=_text(model.quantization),
        )


class OllamaConfig(msgspec.Struct, frozen=True, omit_defaults=True):
    """Ollama's config: Docker's image config with keys of its own."""

    model_format: str | None = None
    model_family: str | None = None
    model_type: _Text = None
    file_type: _Text = None
    context_length: int | None = None

    def to_domain(self) -> ModelFacts:
        """What it says of the model."""
        return ModelFacts(
            format=self.model_format or None,
            architecture=self.model_family or None,
            parameters=_text(self.model_type),
            quantization=_text(self.file_type),
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
    """Whether `read_facts` can say anything about such a config."""
    return media_type in _KINDS


def read_facts(media_type: MediaType, data: bytes) -> ModelFacts:
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
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as exc:
        raise InvalidArtifactError(f"The artifact's config is malformed: {exc}") from exc


def _text(value: _Text) -> str | None:
    return None if value is None or value == "" else str(value)
