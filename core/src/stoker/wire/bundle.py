"""Bundles and engine descriptions on the wire, for the hand-over between supervisor and runner."""

from __future__ import annotations

from pathlib import Path

import msgspec

from stoker.artifact import BundleFile, ModelBundle
from stoker.digest import Digest
from stoker.engine import EngineInfo, Modality, Mode
from stoker.media_types import MediaType, Role
from stoker.reference import Reference
from stoker.wire.facts import FactsWire


class BundleFileWire(msgspec.Struct, frozen=True):
    """See `stoker.artifact.BundleFile`."""

    path: str
    role: Role
    media_type: str | None


class BundleWire(msgspec.Struct, frozen=True):
    """See `stoker.artifact.ModelBundle`."""

    registry: str
    repository: str
    tag: str | None
    pinned: str | None
    scheme: str | None
    digest: str
    files: tuple[BundleFileWire, ...]
    facts: FactsWire

    @classmethod
    def from_domain(cls, bundle: ModelBundle) -> BundleWire:
        """Convert for sending."""
        reference = bundle.reference
        return cls(
            registry=reference.registry,
            repository=reference.repository,
            tag=reference.tag,
            pinned=str(reference.digest) if reference.digest else None,
            scheme=reference.scheme,
            digest=str(bundle.digest),
            files=tuple(
                # A plain `str`: msgspec encodes no subclass of it.
                BundleFileWire(
                    str(item.path), item.role, str(item.media_type) if item.media_type else None
                )
                for item in bundle.files
            ),
            facts=FactsWire.from_domain(bundle.facts),
        )

    def to_domain(self) -> ModelBundle:
        """Convert what came."""
        return ModelBundle(
            reference=Reference(
                registry=self.registry,
                repository=self.repository,
                tag=self.tag,
                digest=Digest.parse(self.pinned) if self.pinned else None,
                scheme=self.scheme,
            ),
            digest=Digest.parse(self.digest),
            files=tuple(
                BundleFile(
                    Path(item.path),
                    item.role,
                    MediaType(item.media_type) if item.media_type else None,
                )
                for item in self.files
            ),
            facts=self.facts.to_domain(),
        )


class EngineInfoWire(msgspec.Struct, frozen=True):
    """See `stoker.engine.EngineInfo`, as far as the supervisor needs it."""

    context_length: int
    vocabulary_size: int
    devices: tuple[str, ...]
    memory_bytes: int | None
    modes: frozenset[Mode]
    embedding_length: int | None
    matryoshka: bool
    max_sequences: int | None
    modalities: frozenset[Modality]

    @classmethod
    def from_domain(cls, info: EngineInfo) -> EngineInfoWire:
        """Convert for sending."""
        return cls(
            info.context_length,
            info.vocabulary_size,
            info.devices,
            info.memory_bytes,
            info.modes,
            info.embedding_length,
            info.matryoshka,
            info.max_sequences,
            info.modalities,
        )

    def to_domain(self) -> EngineInfo:
        """Convert what came."""
        return EngineInfo(
            context_length=self.context_length,
            vocabulary_size=self.vocabulary_size,
            devices=self.devices,
            memory_bytes=self.memory_bytes,
            modes=self.modes,
            embedding_length=self.embedding_length,
            matryoshka=self.matryoshka,
            max_sequences=self.max_sequences,
            modalities=self.modalities,
        )
