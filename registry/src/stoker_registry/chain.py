"""The chain: the store's own models, then those of shared stores, in the config's order."""

from __future__ import annotations

from collections.abc import Iterator

import attrs

from stoker.artifact import Artifact
from stoker.digest import Digest
from stoker.errors import ConflictError
from stoker.reference import Reference
from stoker_registry.local_models import LocalModels
from stoker_registry.names import Entry, matching, not_here


@attrs.frozen
class ModelChain:
    """All models that can be used here. The first place that has a name counts."""

    own: LocalModels
    shared: tuple[LocalModels, ...] = ()
    """Of these nothing is ever written."""

    @property
    def places(self) -> tuple[LocalModels, ...]:
        """All places, in order."""
        return (self.own, *self.shared)

    def find(self, reference: Reference) -> tuple[LocalModels, Entry] | None:
        """Where a name is, and what it means there; None when nobody has it."""
        for models in self.places:
            if found := matching(models.names.entries(), reference):
                return models, found[0]
        return None

    def get(self, reference: Reference) -> tuple[LocalModels, Entry]:
        """Where a name is, and what it means there.

        Raises:
            ModelNotFoundError: Nobody has it.
        """
        found = self.find(reference)
        if found is None:
            raise not_here(reference)
        return found

    def holder(self, artifact: Artifact) -> LocalModels:
        """Who has a model, by whichever name.

        Raises:
            ModelNotFoundError: Nobody has it any more.
        """
        for models in self.places:
            if models.has(artifact.digest):
                return models
        raise not_here(artifact.reference)

    def named_here(self, reference: Reference) -> tuple[Entry, ...]:
        """The entries of a name in the store that can be changed.

        Raises:
            ModelNotFoundError: Nobody has it.
            ConflictError: A shared store has it.
        """
        found = matching(self.own.names.entries(), reference)
        if not found:
            models, _ = self.get(reference)
            raise ConflictError(
                f"{reference.familiar} is in the shared store {models.place}, in which stoker"
                " changes nothing: whoever looks after that store can."
            )
        return found

    def entries(self) -> Iterator[tuple[LocalModels, Entry, Reference]]:
        """All models with a name, each name once."""
        seen = set()
        for models in self.places:
            for entry in models.names.entries():
                if entry.reference is not None and entry.reference not in seen:
                    seen.add(entry.reference)
                    yield models, entry, entry.reference

    def artifacts(self) -> Iterator[Artifact]:
        """All models, each name once; damaged ones are logged and left out."""
        for models, entry, reference in self.entries():
            if (artifact := models.whole_artifact(entry, reference)) is not None:
                yield artifact

    def shared_manifests(self) -> frozenset[Digest]:
        """The manifests of the shared stores."""
        return frozenset(entry.digest for models in self.shared for entry in models.names.entries())
