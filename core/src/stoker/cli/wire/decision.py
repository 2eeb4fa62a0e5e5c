"""What `stoker why --json` prints."""

from __future__ import annotations

from typing import Self

import attrs
import msgspec

from stoker.artifact import Artifact
from stoker.cli.wire.models import LayerDocument
from stoker.memory.plan import MemoryPlan
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


class DeviceNeedDocument(msgspec.Struct, frozen=True):
    """See `stoker.estimate.DeviceNeed`."""

    device: str
    weights_bytes: int
    mapped_bytes: int
    cache_bytes: int
    buffer_bytes: int
    process_bytes: int
    reserve_bytes: int
    total_bytes: int
    budget_bytes: int | None
    """None when there is no limit."""


class MemoryDocument(msgspec.Struct, frozen=True):
    """See `stoker.memory.plan.MemoryPlan`."""

    context_length: int | None
    rule: str
    devices: tuple[DeviceNeedDocument, ...]

    @classmethod
    def from_domain(cls, plan: MemoryPlan) -> Self:
        """Convert for printing."""
        devices = tuple(
            DeviceNeedDocument(
                **attrs.asdict(need),
                total_bytes=need.total_bytes,
                budget_bytes=plan.budget.limit(need.device),
            )
            for need in plan.needs
        )
        return cls(plan.context_length, str(plan.rule), devices)


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
    memory: MemoryDocument | None
    """None when the model is not here, or its memory cannot be planned."""

    @classmethod
    def from_domain(
        cls, artifact: Artifact, decision: Decision, memory: MemoryPlan | None, *, local: bool
    ) -> Self:
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
            memory=MemoryDocument.from_domain(memory) if memory else None,
        )
