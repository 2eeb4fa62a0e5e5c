"""The documents that `--json` prints. Keys are stable: they are only ever added to."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Self

import msgspec

from stoker.artifact import Artifact, Layer, ModelFacts
from stoker.backend import Device
from stoker.cli.answer import Answer
from stoker.control.client import ServerStatus
from stoker.events import Timings, Usage
from stoker.host import RunnerStatus
from stoker.manifest import Descriptor
from stoker.plugins import Plugin
from stoker.selection import Bid, Decision


class FactsDocument(msgspec.Struct, frozen=True):
    """See `stoker.artifact.ModelFacts`."""

    format: str | None
    architecture: str | None
    parameters: str | None
    quantization: str | None
    context_length: int | None

    @classmethod
    def from_domain(cls, facts: ModelFacts) -> Self:
        """Convert for printing."""
        return cls(**{name: getattr(facts, name) for name in cls.__struct_fields__})


class ModelDocument(msgspec.Struct, frozen=True):
    """A model."""

    name: str
    reference: str
    digest: str
    size_bytes: int
    store: str
    created_s: float | None
    facts: FactsDocument

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
            facts=FactsDocument.from_domain(artifact.facts),
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


class RunnerDocument(msgspec.Struct, frozen=True):
    """See `stoker.host.RunnerStatus`."""

    model: str
    digest: str
    backend: str
    state: str
    pid: int | None
    active_requests: int
    context_length: int | None
    devices: tuple[str, ...]
    memory_bytes: int | None
    expires_in_s: float | None

    @classmethod
    def from_domain(cls, status: RunnerStatus) -> Self:
        """Convert for printing."""
        values: dict[str, Any] = {name: getattr(status, name) for name in cls.__struct_fields__}
        return cls(**(values | {"digest": str(status.digest), "state": str(status.state)}))


class ServerDocument(msgspec.Struct, frozen=True):
    """What `stoker ps` shows."""

    pid: int | None
    """None when no server runs."""
    addresses: tuple[str, ...]
    runners: tuple[RunnerDocument, ...]

    @classmethod
    def from_domain(cls, status: ServerStatus | None) -> Self:
        """Convert for printing."""
        if status is None:
            return cls(pid=None, addresses=(), runners=())
        runners = tuple(map(RunnerDocument.from_domain, status.runners))
        return cls(status.pid, status.addresses, runners)


class DeviceDocument(msgspec.Struct, frozen=True):
    """See `stoker.backend.Device`."""

    name: str
    kind: str
    description: str
    memory_bytes: int | None

    @classmethod
    def from_domain(cls, device: Device) -> Self:
        """Convert for printing."""
        return cls(**{name: getattr(device, name) for name in cls.__struct_fields__})


class BackendDocument(msgspec.Struct, frozen=True):
    """A backend, and whether it can run here."""

    name: str
    plugin: str
    media_types: tuple[str, ...]
    priority: int
    available: bool
    reason: str
    devices: tuple[DeviceDocument, ...]
    devices_problem: str | None
    """Why nobody knows the devices; None when they are known."""


class ProblemDocument(msgspec.Struct, frozen=True):
    """Why a plugin failed."""

    phase: str
    summary: str
    traceback: str


class PluginDocument(msgspec.Struct, frozen=True):
    """See `stoker.plugins.Plugin`."""

    name: str
    distribution: str
    version: str
    module: str
    status: str
    provides: tuple[str, ...]
    import_ms: float
    problem: ProblemDocument | None

    @classmethod
    def from_domain(cls, plugin: Plugin) -> Self:
        """Convert for printing."""
        problem = plugin.problem
        return cls(
            name=plugin.name,
            distribution=plugin.distribution,
            version=plugin.version,
            module=plugin.module,
            status=str(plugin.status),
            provides=plugin.provides,
            import_ms=round(plugin.import_ms, 1),
            problem=ProblemDocument(str(problem.phase), problem.summary, problem.traceback)
            if problem
            else None,
        )


class PluginsDocument(msgspec.Struct, frozen=True):
    """What `stoker plugins` shows."""

    plugins: tuple[PluginDocument, ...]
    backends: tuple[BackendDocument, ...]


class VersionDocument(msgspec.Struct, frozen=True):
    """What `stoker version` shows."""

    stoker: str
    python: str
    platform: str
    distributions: dict[str, str]
    """Versions of the distributions that have plugins, by name."""


class RemovalDocument(msgspec.Struct, frozen=True):
    """What `stoker rm` did."""

    untagged: tuple[str, ...]
    deleted: tuple[str, ...]
    freed_bytes: int


class UsageDocument(msgspec.Struct, frozen=True):
    """See `stoker.events.Usage`."""

    prompt_tokens: int
    completion_tokens: int
    cached_tokens: int
    reasoning_tokens: int

    @classmethod
    def from_domain(cls, usage: Usage) -> Self:
        """Convert for printing."""
        return cls(**{name: getattr(usage, name) for name in cls.__struct_fields__})


class TimingsDocument(msgspec.Struct, frozen=True):
    """Where the time went, in seconds."""

    first_token_s: float | None
    """From asking to the first text, loading the model included; None without any text."""
    prefill_s: float
    decode_s: float

    @classmethod
    def from_domain(cls, timings: Timings, first_token_s: float | None) -> Self:
        """Convert for printing."""
        return cls(first_token_s, timings.prefill_s, timings.decode_s)


class AnswerDocument(msgspec.Struct, frozen=True):
    """What `stoker run --json` prints."""

    model: str
    text: str
    reasoning: str
    finish_reason: str | None
    stop: str | None
    usage: UsageDocument
    timings: TimingsDocument

    @classmethod
    def from_answer(cls, model: str, answer: Answer) -> Self:
        """Convert for printing."""
        return cls(
            model=model,
            text=answer.text,
            reasoning=answer.reasoning,
            finish_reason=str(answer.end.reason) if answer.end else None,
            stop=answer.end.stop if answer.end else None,
            usage=UsageDocument.from_domain(answer.usage),
            timings=TimingsDocument.from_domain(answer.timings, answer.first_token_s),
        )
