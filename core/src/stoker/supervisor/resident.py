"""A resident: one model that is loaded or being loaded, and what is known of it."""

from __future__ import annotations

import asyncio

import attrs
import msgspec

from stoker.application import LoadPlan
from stoker.digest import Digest
from stoker.events import Loading
from stoker.host import RunnerState, RunnerStatus
from stoker.reference import Reference
from stoker.supervisor.request_queue import RequestQueue
from stoker.supervisor.runner import Runner
from stoker.telemetry import UnloadReason

Key = tuple[Digest, str, bytes]
"""What makes two requests share one runner: the model, the backend, and the backend's options."""


def key_of(plan: LoadPlan) -> Key:
    """What a plan's resident is found by."""
    return (plan.artifact.digest, plan.backend.name, msgspec.json.encode(plan.options))


@attrs.define(eq=False)
class Resident:
    """A model that is loaded or being loaded, under one name or several."""

    plan: LoadPlan
    """Of the request that it was loaded for; other names may have other priorities and so on."""
    queue: RequestQueue
    """Of its requests."""
    plans: dict[tuple[Reference, str | None], LoadPlan] = attrs.field(factory=dict)
    """The plans of all names that led here, by the name and the backend that was pinned."""
    users: int = 0
    """Requests that wait for it or run in it."""
    holds_memory: bool = False
    """Whether its part of the budget is taken."""
    runner: Runner | None = None
    load: asyncio.Task[Runner] = attrs.field(init=False)
    """Set right after construction: the task needs the resident."""
    loading_s: float = 0.0
    """How long it took to load, which is what it costs to load it again."""
    idle_since_s: float = 0.0
    answered: bool = False
    """Whether it has answered a request to its end."""
    tokens_per_s: float | None = None
    """How fast its last answer was written."""
    reason: UnloadReason = UnloadReason.CRASHED
    """Why it is being unloaded; nobody says so of a crash."""
    progress: Loading = Loading("starting")
    progressed: asyncio.Event = attrs.field(factory=asyncio.Event)
    """Set, and replaced by a new one, whenever `progress` changes."""
    expiry: asyncio.TimerHandle | None = None
    unloading: bool = False
    gone: asyncio.Event = attrs.field(factory=asyncio.Event)
    """Set when it is no longer among the residents."""

    @property
    def key(self) -> Key:
        """What it is found by."""
        return key_of(self.plan)

    @property
    def name(self) -> str:
        """The model's familiar name."""
        return self.plan.artifact.reference.familiar

    @property
    def priority(self) -> int:
        """The largest of its names' priorities."""
        return max(plan.priority for plan in self._settled)

    @property
    def keep_alive_s(self) -> float:
        """The longest keep-alive of its names."""
        return max(plan.keep_alive_s for plan in self._settled)

    @property
    def pinned(self) -> bool:
        """Whether one of its names is pinned."""
        return any(plan.pin for plan in self._settled)

    @property
    def _settled(self) -> tuple[LoadPlan, ...]:
        """The plans that hold: of its names, or the first one while no name leads here."""
        return tuple(self.plans.values()) or (self.plan,)

    @property
    def evictable(self) -> bool:
        """Whether it may be unloaded because others need its memory."""
        idle = self.runner is not None and not self.users
        return idle and not self.pinned and not self.unloading

    def report(self, stage: str, fraction: float | None) -> None:
        """Take loading progress, and wake who waits for it."""
        self.progress = Loading(stage, fraction)
        self.progressed.set()
        self.progressed = asyncio.Event()

    def status(self, now_s: float) -> RunnerStatus:
        """What it is, for people."""
        runner, memory = self.runner, self.plan.memory
        info = runner.info if runner else None
        state = RunnerState.READY if runner else RunnerState.LOADING
        return RunnerStatus(
            model=self.name,
            digest=self.plan.artifact.digest,
            backend=self.plan.backend.name,
            state=RunnerState.UNLOADING if self.unloading else state,
            pid=runner.pid if runner else None,
            active_requests=self.users,
            context_length=info.context_length if info else memory.context_length,
            devices=info.devices if info else (),
            memory_bytes=info.memory_bytes if info else None,
            expires_in_s=self.expiry.when() - now_s if self.expiry else None,
            planned_bytes=sum(need.total_bytes for need in memory.needs),
            pinned=self.pinned,
            running=self.queue.running,
            waiting=tuple(turn.caller for turn in self.queue.waiting),
            tokens_per_s=self.tokens_per_s,
            modes=info.modes if info else frozenset(),
        )
