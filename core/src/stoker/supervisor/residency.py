"""Residency: which models are loaded, from the first request to the end of the keep-alive.

All of it runs on the event loop, so a resident's fields change only between awaits.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine, Iterable

import attrs
import msgspec

from stoker.application import LoadPlan
from stoker.backend import BackendSpec
from stoker.digest import Digest
from stoker.errors import OperationCancelledError, StokerError
from stoker.events import Event, Failed, Loading
from stoker.host import RunnerState, RunnerStatus
from stoker.request import Request
from stoker.supervisor.runner import ReportLoading, Runner

_log = logging.getLogger(__name__)

Key = tuple[Digest, str, bytes]
"""What makes two requests share one runner: the model's digest, the backend's name and its options.

A model may have other options by another name: one to generate and one to embed, say.
"""

Start = Callable[[LoadPlan, ReportLoading], Awaitable[Runner]]


@attrs.define(eq=False)
class Resident:
    """A model that is loaded or being loaded."""

    plan: LoadPlan
    users: int = 0
    """Requests that wait for it or run in it."""
    runner: Runner | None = None
    load: asyncio.Task[Runner] = attrs.field(init=False)
    """Set right after construction: the task needs the resident."""
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
        plan = self.plan
        return (plan.artifact.digest, plan.backend.name, msgspec.msgpack.encode(plan.options))

    @property
    def name(self) -> str:
        """The model's familiar name."""
        return self.plan.artifact.reference.familiar

    def report(self, stage: str, fraction: float | None) -> None:
        """Take loading progress, and wake who waits for it."""
        self.progress = Loading(stage, fraction)
        self.progressed.set()
        self.progressed = asyncio.Event()


class Residency:
    """The loaded models."""

    def __init__(self, start: Start) -> None:
        """Make an empty residency.

        Args:
            start: Starts a runner and loads a plan's model in it.
        """
        self._start = start
        self._residents: dict[Key, Resident] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    def plan_of(
        self,
        digest: Digest,
        backend: str | None,
        options: Callable[[BackendSpec], msgspec.Struct],
    ) -> LoadPlan | None:
        """The plan of a model that is loaded or being loaded; None when there is no such one.

        Args:
            digest: The model.
            backend: Only in this backend; None takes any.
            options: What it is to run with, for a backend.

        Raises:
            StokerError: `options` raised it.
        """
        for resident in self._residents.values():
            plan = resident.plan
            if (
                plan.artifact.digest == digest
                and backend in {None, plan.backend.name}
                and not resident.unloading
                and options(plan.backend) == plan.options
            ):
                return plan
        return None

    async def answer(self, plan: LoadPlan, request: Request) -> AsyncGenerator[Event, None]:
        """Answer a request, loading its model first where needed.

        Concurrent first requests share one load. A load goes on when the client that began it
        leaves, as long as another one waits.
        """
        resident = await self._resident(plan)
        self._use(resident)
        try:
            async with contextlib.aclosing(_watch(resident)) as stages:
                async for loading in stages:
                    yield loading
            runner = await _loaded(resident)
            async with contextlib.aclosing(runner.answer(request)) as events:
                async for event in events:
                    yield event
        except StokerError as exc:
            yield Failed(exc)
        finally:
            self._leave(resident)

    def statuses(self) -> list[RunnerStatus]:
        """What is loaded, sorted by name."""
        now = asyncio.get_running_loop().time()
        return sorted(
            (_status(resident, now) for resident in self._residents.values()),
            key=lambda status: (status.model, status.backend),
        )

    async def unload(self, digest: Digest) -> bool:
        """Unload a model from every backend; requests inside fail. False when it was not loaded."""
        residents = [found for key, found in self._residents.items() if key[0] == digest]
        await self._unload_all(residents)
        return bool(residents)

    async def close(self) -> None:
        """Unload everything."""
        await self._unload_all(list(self._residents.values()))
        await asyncio.gather(*self._tasks)

    async def _unload_all(self, residents: Iterable[Resident]) -> None:
        residents = tuple(residents)
        for resident in residents:
            self._unload(resident)
        for resident in residents:
            await resident.gone.wait()

    async def _resident(self, plan: LoadPlan) -> Resident:
        wanted = Resident(plan)
        while (resident := self._residents.get(wanted.key)) is not None and resident.unloading:
            await resident.gone.wait()
        if resident is not None:
            return resident
        self._residents[wanted.key] = wanted
        wanted.load = asyncio.create_task(self._load(wanted))
        return wanted

    async def _load(self, resident: Resident) -> Runner:
        started_s = asyncio.get_running_loop().time()
        _log.info("Loading %s with %s", resident.name, resident.plan.backend.name)
        try:
            runner = resident.runner = await self._start(resident.plan, resident.report)
        except BaseException:
            self._forget(resident)
            raise
        finally:
            resident.progressed.set()
        loading_s = asyncio.get_running_loop().time() - started_s
        _log.info("Loaded %s in %.1f s, process %d", resident.name, loading_s, runner.pid)
        self._spawn(self._mourn(resident, runner))
        return runner

    async def _mourn(self, resident: Resident, runner: Runner) -> None:
        """Forget a resident whose runner is gone, so that the next request loads it again."""
        await runner.ended.wait()
        _log.info("The runner of %s has ended, process %d", resident.name, runner.pid)
        self._forget(resident)

    def _use(self, resident: Resident) -> None:
        resident.users += 1
        if resident.expiry is not None:
            resident.expiry.cancel()
            resident.expiry = None

    def _leave(self, resident: Resident) -> None:
        resident.users -= 1
        if resident.users or resident.gone.is_set():
            return
        if resident.runner is None:
            # Nobody waits for this load any more.
            self._unload(resident)
        elif not math.isinf(resident.plan.keep_alive_s):
            resident.expiry = asyncio.get_running_loop().call_later(
                resident.plan.keep_alive_s, self._expire, resident
            )

    def _expire(self, resident: Resident) -> None:
        if not resident.users:
            self._unload(resident)

    def _forget(self, resident: Resident) -> None:
        if resident.expiry is not None:
            resident.expiry.cancel()
        if self._residents.get(resident.key) is resident:
            del self._residents[resident.key]
        resident.gone.set()

    def _unload(self, resident: Resident) -> None:
        """Begin to unload; `gone` tells the end. A no-op when that has begun already."""
        if not resident.unloading:
            resident.unloading = True
            self._spawn(self._end(resident))

    async def _end(self, resident: Resident) -> None:
        resident.load.cancel()
        await asyncio.wait([resident.load])
        if resident.runner is not None:
            await resident.runner.close()
        self._forget(resident)

    def _spawn(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


async def _watch(resident: Resident) -> AsyncGenerator[Loading, None]:
    """Loading progress, until the load has ended one way or the other."""
    if resident.runner is None:
        yield resident.progress
    while not resident.load.done():
        progressed = asyncio.create_task(resident.progressed.wait())
        try:
            await asyncio.wait([resident.load, progressed], return_when=asyncio.FIRST_COMPLETED)
        finally:
            progressed.cancel()
        if not resident.load.done():
            yield resident.progress


async def _loaded(resident: Resident) -> Runner:
    try:
        return await asyncio.shield(resident.load)
    except asyncio.CancelledError:
        if resident.load.cancelled():
            raise OperationCancelledError(
                f"{resident.name} was unloaded while it loaded."
            ) from None
        raise


def _status(resident: Resident, now: float) -> RunnerStatus:
    runner = resident.runner
    info = runner.info if runner else None
    state = RunnerState.READY if runner else RunnerState.LOADING
    return RunnerStatus(
        model=resident.name,
        digest=resident.plan.artifact.digest,
        backend=resident.plan.backend.name,
        state=RunnerState.UNLOADING if resident.unloading else state,
        pid=runner.pid if runner else None,
        active_requests=resident.users,
        context_length=info.context_length if info else None,
        devices=info.devices if info else (),
        memory_bytes=info.memory_bytes if info else None,
        expires_in_s=resident.expiry.when() - now if resident.expiry else None,
    )
