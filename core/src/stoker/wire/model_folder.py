"""The JSON files of a folder store: the configs of its models, and its names."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from stoker.artifact import ModelFacts
from stoker.errors import InvalidArtifactError
from stoker.manifest import Descriptor
from stoker.wire.malformed import MALFORMED
from stoker.wire.model_config import DockerConfig


class NameRecord(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which model a reference means."""

    repository: str
    digest: str
    created_s: float


def encode_config(facts: ModelFacts, layers: Sequence[Descriptor]) -> bytes:
    """Write a config: the same model always gives the same bytes."""
    return msgspec.json.encode(DockerConfig.from_domain(facts, layers), order="sorted")


def decode_config(data: bytes) -> ModelFacts:
    """Read what a config says of its model.

    Raises:
        InvalidArtifactError: It is malformed.
    """
    try:
        return msgspec.json.decode(data, type=DockerConfig).to_domain()
    except MALFORMED as exc:
        raise InvalidArtifactError(f"The model's config is malformed: {exc}.") from exc
