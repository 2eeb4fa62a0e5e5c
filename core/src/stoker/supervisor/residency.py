"""Residency: which models are loaded, from the first request to the end of the keep-alive.

All of it runs on the event loop, so a resident's fields change only between awaits.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine

import attrs

from stoker.application import LoadPlan
from stoker.digest import Digest
from stoker.errors import LoadError, OperationCancelledError, StokerError
from stoker.events import Event, Failed, Loading
from stoker.host import RunnerState, RunnerStatus
from stoker.request import GenerateRequest
from stoker.supervisor.runner import ReportLoading, Runner

Key = tuple[Digest, str]
"""What makes two requests share one runner: the model's digest and the backend's name."""

Start = Callable[[LoadPlan, ReportLoading], Awaitable[Runner]]


@attrs.define(eq=False)
class Resident:
    """A model that is loaded or being loaded."""

    plan: LoadPlan
    users: int = 0
    """Requests that wait for it or run in it."""
    runner: Runner | None = None
    load: asyncio.Task[Runner] | None = None
    progress: Loading = Loading("starting")
    progressed: asyncio.Event = attrs.field(factory=asyncio.Event)
    """Set, and replaced by a new one, whenever `progress` changes."""
    expiry: asyncio.TimerHandle | None = None
    unloading: bool = False
    gone: asyncio.Event = attrs.field(factory=asyncio.Event)
    """Set when it is no longer among the residents."""

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

    def plan_of(self, digest: Digest, backend: str | None) -> LoadPlan | None:
        """The plan of a model that is loaded or being loaded; None when there is no such one.

        Args:
            digest: The model.
            backend: Only in this backend; None takes any.
        """
        for (resident_digest, name), resident in self._residents.items():
            if resident_digest == digest and backend in {None, name} and not resident.unloading:
                return resident.plan
        return None

    async def generate(
        self, plan: LoadPlan, request: GenerateRequest
    ) -> AsyncGenerator[Event, None]:
        """Answer a request, loading its model first where needed.

        Concurrent first requests share one load. A load goes on when the client that began it
        leaves, as long as another one waits.
        """
        key = (plan.artifact.digest, plan.backend.name)
        while (resident := self._residents.get(key)) is not None and resident.unloading:
            await resident.gone.wait()
        if resident is None:
            resident = self._residents[key] = Resident(plan)
            resident.load = asyncio.create_task(self._load(key, resident))
        self._use(resident)
        try:
            async with contextlib.aclosing(_watch(resident)) as stages:
                async for loading in stages:
                    yield loading
            runner = await _loaded(resident)
            async with contextlib.aclosing(runner.generate(request)) as events:
                async for event in events:
                    yield event
        except StokerError as exc:
            yield Failed(exc)
        finally:
            self._leave(key, resident)

    def statuses(self) -> list[RunnerStatus]:
        """What is loaded, sorted by name."""
        now = asyncio.get_running_loop().time()
        return sorted(
            (_status(resident, now) for resident in self._residents.values()),
            key=lambda status: (status.model, status.backend),
        )

    async def unload(self, digest: Digest) -> bool:
        """Unload a model from every backend; requests inside fail. False when it was not loaded."""
        keys = [key for key in self._residents if key[0] == digest]
        await asyncio.gather(*(self._unload(key) for key in keys))
        return bool(keys)

    async def close(self) -> None:
        """Unload everything."""
        await asyncio.gather(*(self._unload(key) for key in list(self._residents)))
        await asyncio.gather(*self._tasks)

    async def _load(self, key: Key, resident: Resident) -> Runner:
        try:
            runner = resident.runner = await self._start(resident.plan, resident.report)
        except BaseException:
            self._forget(key, resident)
            raise
        finally:
            resident.progressed.set()
        self._spawn(self._mourn(key, resident, runner))
        return runner

    async def _mourn(self, key: Key, resident: Resident, runner: Runner) -> None:
        """Forget a resident whose runner is gone, so that the next request loads it again."""
        await runner.ended.wait()
        self._forget(key, resident)

    def _use(self, resident: Resident) -> None:
        resident.users += 1
        if resident.expiry is not None:
            resident.expiry.cancel()
            resident.expiry = None

    def _leave(self, key: Key, resident: Resident) -> None:
        resident.users -= 1
        if resident.users or self._residents.get(key) is not resident:
            return
        if resident.runner is None:
            # Nobody waits for this load any more.
            self._spawn(self._unload(key))
        else:
            resident.expiry = asyncio.get_running_loop().call_later(
                resident.plan.keep_alive_s, self._expire, key, resident
            )

    def _expire(self, key: Key, resident: Resident) -> None:
        if not resident.users and self._residents.get(key) is resident:
            self._spawn(self._unload(key))

    def _forget(self, key: Key, resident: Resident) -> None:
        if resident.expiry is not None:
            resident.expiry.cancel()
        if self._residents.get(key) is resident:
            del self._residents[key]
        resident.gone.set()

    async def _unload(self, key: Key) -> None:
        resident = self._residents.get(key)
        if resident is None or resident.unloading:
            return
        resident.unloading = True
        if resident.load is not None and not resident.load.done():
            resident.load.cancel()
        if resident.load is not None:
            await asyncio.wait([resident.load])
        if resident.runner is not None:
            await resident.runner.close()
        self._forget(key, resident)

    def _spawn(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


async def _watch(resident: Resident) -> AsyncGenerator[Loading, None]:
    """Loading progress, until the load has ended one way or the other."""
    if resident.runner is None:
        yield resident.progress
    while resident.load is not None and not resident.load.done():
        progressed = asyncio.create_task(resident.progressed.wait())
        try:
            await asyncio.wait([resident.load, progressed], return_when=asyncio.FIRST_COMPLETED)
        finally:
            progressed.cancel()
        if not resident.load.done():
            yield resident.progress


async def _loaded(resident: Resident) -> Runner:
    if resident.load is None:
        raise LoadError(f"{resident.name} was never loaded.")
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
