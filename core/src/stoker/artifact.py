"""Artifacts and bundles: a model in a store, and the same model as files for an engine."""

from __future__ import annotations

from pathlib import Path

import attrs

from stoker.digest import Digest
from stoker.manifest import Descriptor, Manifest
from stoker.media_types import MediaType, Role
from stoker.reference import Reference


@attrs.frozen
class ModelFacts:
    """What an artifact's config (or its weights' header) says of the model.

    Every field is None where nobody said it.
    """

    format: str | None = None
    architecture: str | None = None
    parameters: str | None = None
    quantization: str | None = None
    context_length: int | None = None
    """The trained maximum, in tokens; what is loaded is decided elsewhere."""
    has_chat_template: bool | None = None
    """Whether a chat template came with it, in the weights or beside them."""
    license: str | None = None
    """Its name, as the publisher wrote it (`apache-2.0`)."""

    def or_else(self, other: ModelFacts) -> ModelFacts:
        """The same, and what only the other one says."""
        gaps = {
            field.name: getattr(other, field.name)
            for field in attrs.fields(ModelFacts)
            if getattr(self, field.name) is None
        }
        return attrs.evolve(self, **gaps)


@attrs.frozen
class Artifact:
    """A model as its store knows it; nothing but the manifest and the config need be local."""

    reference: Reference
    digest: Digest
    """Digest of the manifest's bytes: the model's identity."""
    manifest: Manifest
    facts: ModelFacts
    store: str
    """Name of the store that holds it."""
    created_s: float | None = None
    """When it was stored here, in seconds since the epoch; None when it is not."""


@attrs.frozen
class Layer:
    """A layer after the format rules: what it truly is, and what it is for."""

    descriptor: Descriptor
    media_type: MediaType | None
    """Canonical type; None when no rule could tell."""
    role: Role
    remark: str | None = None
    """What people should hear of it when no backend runs it: a sentence that says why."""


@attrs.frozen
class BundleFile:
    """One file of a bundle."""

    path: Path
    role: Role
    media_type: MediaType | None


@attrs.frozen
class ModelBundle:
    """A model as an engine wants it: local files, by role, under their real names.

    The paths stay valid as long as the model is in its store. Shards of the weights stand in
    loading order.
    """

    reference: Reference
    digest: Digest
    files: tuple[BundleFile, ...]
    facts: ModelFacts = ModelFacts()

    def paths(self, role: Role) -> tuple[Path, ...]:
        """All files of a role, in order; empty when there is none."""
        return tuple(item.path for item in self.files if item.role is role)

    @property
    def weights(self) -> tuple[Path, ...]:
        """The weights' shards, in loading order."""
        return self.paths(Role.WEIGHTS)

    @property
    def chat_template(self) -> Path | None:
        """The Jinja chat template that came beside the weights, or None."""
        return next(iter(self.paths(Role.CHAT_TEMPLATE)), None)
