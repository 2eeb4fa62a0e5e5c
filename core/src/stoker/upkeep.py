"""Upkeep: what a store offers besides to stay whole and small."""

from __future__ import annotations

import abc

import attrs

from stoker.digest import Digest
from stoker.reference import Reference
from stoker.store import ReportProgress


@attrs.frozen
class Damage:
    """A blob that is not what its digest says, or not here at all."""

    digest: Digest
    item: str
    """What it is, for people: the file's name, or "manifest"."""
    problem: str
    """What is wrong, as the end of a sentence: "is missing", ..."""
    models: tuple[Reference, ...]
    """Who needs it; nobody's is not worth a repair."""
    is_repaired: bool = False
    remark: str = ""
    """What was done about it, or why it could not be: a sentence. Empty when nothing was tried."""


@attrs.frozen
class Verification:
    """What `verify` found."""

    checked_blobs: int
    checked_bytes: int
    damages: tuple[Damage, ...]

    @property
    def is_clean(self) -> bool:
        """Whether nothing is damaged any more."""
        return all(damage.is_repaired for damage in self.damages)


@attrs.frozen
class Pruning:
    """What `prune` deleted, or would."""

    blobs: tuple[Digest, ...]
    """Blobs that no model needs."""
    leftovers: int
    """Files and folders that transfers and crashes left behind."""
    bundles: int
    """Folders of models that are here no more."""
    freed_bytes: int


class Upkeep(abc.ABC):
    """A store that can check and tidy itself. Blocking code, called by any thread."""

    @abc.abstractmethod
    def verify(
        self, reference: Reference | None, progress: ReportProgress, *, repair: bool
    ) -> Verification:
        """Hash again what is here.

        Args:
            reference: One model; None for everything in the store.
            progress: To be told of every step.
            repair: Fetch what is damaged again, from where the model came from. What cannot be
                fetched is left as it is, and the damage says why.

        Raises:
            ModelNotFoundError: The model is not here.
        """

    @abc.abstractmethod
    def prune(self, *, min_age_s: float, dry_run: bool) -> Pruning:
        """Delete what no model needs and nobody is working on.

        Args:
            min_age_s: What is younger stays, for somebody may be about to go on with it.
            dry_run: Delete nothing.

        Raises:
            InvalidArtifactError: A manifest is damaged, so that nobody can tell what it needs;
                nothing was deleted.
        """
