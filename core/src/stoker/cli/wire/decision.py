"""What `stoker why --json` prints."""

from __future__ import annotations

from typing import Self

import msgspec

from stoker.artifact import Artifact
from stoker.cli.wire.models import LayerDocument
from stoker.selection import Bid, Decision


class BidDocument(msgspec.Struct, frozen=True):
    """A backend that runs the weights."""

    backend: str
    available: bool
    reason: str
    priority: int

    @classmethod
    def from_domain(cls, bid: Bid) -> Self:
        """Convert for printing."""
        availability = bid.availability
        return cls(bid.backend, availability.available, availability.reason, bid.priority)


class WhyDocument(msgspec.Struct, frozen=True):
    """What `stoker why` shows."""

    reference: str
    digest: str
    local: bool
    """Whether the model is here, or was looked up where `pull` would take it from."""
    layers: tuple[LayerDocument, ...]
    media_type: str | None
    bids: tuple[BidDocument, ...]
    backend: str | None
    rule: str | None
    problem: str | None

    @classmethod
    def from_domain(cls, artifact: Artifact, decision: Decision, *, local: bool) -> Self:
        """Convert for printing."""
        return cls(
            reference=str(artifact.reference),
            digest=str(artifact.digest),
            local=local,
            layers=tuple(map(LayerDocument.from_domain, decision.layers)),
            media_type=str(decision.media_type) if decision.media_type else None,
            bids=tuple(map(BidDocument.from_domain, decision.bids)),
            backend=decision.backend.name if decision.backend else None,
            rule=str(decision.rule) if decision.rule else None,
            problem=decision.problem.message if decision.problem else None,
        )
