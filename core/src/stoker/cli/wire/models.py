"""What `--json` prints of models."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Self

import msgspec

from stoker.artifact import Artifact, Layer
from stoker.manifest import Descriptor
from stoker.wire.facts import FactsWire


class ModelDocument(msgspec.Struct, frozen=True):
    """A model."""

    name: str
    reference: str
    digest: str
    size_bytes: int
    store: str
    created_s: float | None
    facts: FactsWire

    @classmethod
    def from_domain(cls, artifact: Artifact) -> Self:
        """Convert for printing."""
        return cls(
            name=artifact.reference.familiar,
            reference=str(artifact.reference),
            digest=str(artifact.digest),
            size_bytes=artifact.manifest.size_bytes,
            store=artifact.store,
            created_s=artifact.created_s,
            facts=FactsWire.from_domain(artifact.facts),
        )


class DescriptorDocument(msgspec.Struct, frozen=True):
    """A blob that a manifest names."""

    media_type: str
    digest: str
    size_bytes: int
    annotations: dict[str, str]

    @classmethod
    def from_domain(cls, descriptor: Descriptor) -> Self:
        """Convert for printing."""
        return cls(
            media_type=str(descriptor.media_type),
            digest=str(descriptor.digest),
            size_bytes=descriptor.size_bytes,
            annotations=dict(descriptor.annotations),
        )


class LayerDocument(msgspec.Struct, frozen=True):
    """A layer, with what the format rules make of it."""

    media_type: str
    canonical_media_type: str | None
    role: str
    path: str | None
    digest: str
    size_bytes: int

    @classmethod
    def from_domain(cls, layer: Layer) -> Self:
        """Convert for printing."""
        return cls(
            media_type=str(layer.descriptor.media_type),
            canonical_media_type=str(layer.media_type) if layer.media_type else None,
            role=str(layer.role),
            path=layer.descriptor.file_path,
            digest=str(layer.descriptor.digest),
            size_bytes=layer.descriptor.size_bytes,
        )


class InspectDocument(msgspec.Struct, frozen=True):
    """What `stoker inspect` shows."""

    model: ModelDocument
    media_type: str
    artifact_type: str | None
    annotations: dict[str, str]
    config: DescriptorDocument
    layers: tuple[LayerDocument, ...]

    @classmethod
    def from_domain(cls, artifact: Artifact, layers: Sequence[Layer]) -> Self:
        """Convert for printing."""
        manifest = artifact.manifest
        return cls(
            model=ModelDocument.from_domain(artifact),
            media_type=str(manifest.media_type),
            artifact_type=manifest.artifact_type,
            annotations=dict(manifest.annotations),
            config=DescriptorDocument.from_domain(manifest.config),
            layers=tuple(map(LayerDocument.from_domain, layers)),
        )


class RemovalDocument(msgspec.Struct, frozen=True):
    """What `stoker rm` did."""

    untagged: tuple[str, ...]
    deleted: tuple[str, ...]
    freed_bytes: int
