"""Docker's config JSON of model artifacts, which registries and other tools read.

Every key is optional in the wild, unknown keys are tolerated, and a number may stand where a text
is asked for. What is there but of the wrong shape makes the artifact invalid.

https://github.com/docker/model-spec/blob/main/config.md
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from stoker.artifact import ModelFacts
from stoker.manifest import Descriptor
from stoker.media_types import MediaType

DOCKER_CONFIG_V01 = MediaType("application/vnd.docker.ai.model.config.v0.1+json")
"""Of artifacts with one layer per shard, without paths of their own."""
DOCKER_CONFIG_V02 = MediaType("application/vnd.docker.ai.model.config.v0.2+json")
"""Of artifacts with one layer per file of a folder."""

EPOCH = "1970-01-01T00:00:00Z"
"""The time that packaged artifacts carry: with a real one, no two packagings had one digest."""

Text = str | int | float | None
"""A text, as it may stand in a config."""

# GGUF's own keys, some of which Docker's tools copy into the config.
_NAME = "general.name"
_LICENSE = "general.license"
_CHAT_TEMPLATE = "tokenizer.chat_template"


class DockerModel(msgspec.Struct, frozen=True, omit_defaults=True):
    """The key `config`."""

    format: str | None = None
    quantization: Text = None
    parameters: Text = None
    architecture: str | None = None
    size: Text = None
    context_size: int | None = None
    gguf: dict[str, Any] | None = None


class DockerDescriptor(msgspec.Struct, frozen=True, omit_defaults=True):
    """The key `descriptor`."""

    created: str | None = None


class DockerRootfs(msgspec.Struct, frozen=True):
    """The key `rootfs`: the digests of what is in the layers; equal to theirs when uncompressed."""

    type: str = "rootfs"
    diff_ids: tuple[str, ...] | None = None


class DockerConfig(msgspec.Struct, frozen=True, omit_defaults=True):
    """The whole."""

    config: DockerModel | None = None
    descriptor: DockerDescriptor | None = None
    rootfs: DockerRootfs | None = None

    @classmethod
    def from_domain(
        cls,
        facts: ModelFacts,
        layers: Sequence[Descriptor],
        *,
        name: str | None = None,
        size: str | None = None,
    ) -> DockerConfig:
        """Say of a model what is known.

        Args:
            facts: The facts.
            layers: All layers, none of them compressed.
            name: The model's own name, where it has one.
            size: Of the weights, for people.
        """
        known = {_NAME: name, _LICENSE: facts.license}
        return cls(
            config=DockerModel(
                format=facts.format,
                quantization=facts.quantization,
                parameters=facts.parameters,
                architecture=facts.architecture,
                size=size,
                context_size=facts.context_length,
                gguf={key: value for key, value in known.items() if value} or None,
            ),
            descriptor=DockerDescriptor(created=EPOCH),
            rootfs=DockerRootfs(diff_ids=tuple(str(layer.digest) for layer in layers)),
        )

    def to_domain(self) -> ModelFacts:
        """What it says of the model."""
        model = self.config or DockerModel()
        gguf = model.gguf or {}
        license_name = gguf.get(_LICENSE)
        return ModelFacts(
            format=model.format or None,
            architecture=model.architecture or None,
            parameters=text_or_none(model.parameters),
            quantization=text_or_none(model.quantization),
            context_length=model.context_size or None,
            has_chat_template=True if gguf.get(_CHAT_TEMPLATE) else None,
            license=license_name if isinstance(license_name, str) and license_name else None,
        )


def text_or_none(value: Text) -> str | None:
    """A text; None for nothing, and for an empty one."""
    return None if value is None or value == "" else str(value)
