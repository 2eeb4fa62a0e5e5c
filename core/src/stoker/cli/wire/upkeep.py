"""What `--json` prints of upkeep."""

from __future__ import annotations

from typing import Self

import msgspec

from stoker.upkeep import Damage, Pruning, Verification


class DamageDocument(msgspec.Struct, frozen=True):
    """A file that is not what it should be."""

    digest: str
    item: str
    problem: str
    models: tuple[str, ...]
    repaired: bool
    remark: str

    @classmethod
    def from_domain(cls, damage: Damage) -> Self:
        """Convert for printing."""
        return cls(
            digest=str(damage.digest),
            item=damage.item,
            problem=damage.problem,
            models=tuple(model.familiar for model in damage.models),
            repaired=damage.is_repaired,
            remark=damage.remark,
        )


class VerificationDocument(msgspec.Struct, frozen=True):
    """What `stoker verify` found."""

    clean: bool
    checked_blobs: int
    checked_bytes: int
    damages: tuple[DamageDocument, ...]

    @classmethod
    def from_domain(cls, verification: Verification) -> Self:
        """Convert for printing."""
        return cls(
            clean=verification.is_clean,
            checked_blobs=verification.checked_blobs,
            checked_bytes=verification.checked_bytes,
            damages=tuple(map(DamageDocument.from_domain, verification.damages)),
        )


class PruningDocument(msgspec.Struct, frozen=True):
    """What `stoker prune` deleted, or would."""

    dry_run: bool
    deleted: tuple[str, ...]
    leftovers: int
    bundles: int
    freed_bytes: int

    @classmethod
    def from_domain(cls, pruning: Pruning, *, dry_run: bool) -> Self:
        """Convert for printing."""
        return cls(
            dry_run=dry_run,
            deleted=tuple(map(str, pruning.blobs)),
            leftovers=pruning.leftovers,
            bundles=pruning.bundles,
            freed_bytes=pruning.freed_bytes,
        )
