"""What `stoker ps --json` prints."""

from __future__ import annotations

from typing import Any, Self

import msgspec

from stoker.control.client import ServerStatus
from stoker.host import RunnerStatus


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
    planned_bytes: int
    pinned: bool
    running: int
    waiting: tuple[str, ...]
    tokens_per_s: float | None

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
