"""What `stoker plugins --json` prints."""

from __future__ import annotations

from typing import Self

import msgspec

from stoker.backend import Device
from stoker.plugin import Plugin
from stoker.plugin_checkup import Finding


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
    remedy: str
    traceback: str


class PluginDocument(msgspec.Struct, frozen=True):
    """See `stoker.plugins.Plugin`."""

    name: str
    distribution: str
    version: str
    module: str
    status: str
    hooks: tuple[str, ...]
    provides: tuple[str, ...]
    import_ms: float
    blocked_by: str
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
            hooks=plugin.hooks,
            provides=plugin.provides,
            import_ms=round(plugin.import_ms, 1),
            blocked_by=plugin.blocked_by,
            problem=ProblemDocument(
                str(problem.phase), problem.summary, problem.remedy, problem.traceback
            )
            if problem
            else None,
        )


class FindingDocument(msgspec.Struct, frozen=True):
    """See `stoker.plugin_checkup.Finding`."""

    subject: str
    severity: str
    summary: str
    remedy: str

    @classmethod
    def from_domain(cls, finding: Finding) -> Self:
        """Convert for printing."""
        return cls(**{name: str(getattr(finding, name)) for name in cls.__struct_fields__})


class PluginsDocument(msgspec.Struct, frozen=True):
    """What `stoker plugins` shows."""

    plugins: tuple[PluginDocument, ...]
    backends: tuple[BackendDocument, ...]
