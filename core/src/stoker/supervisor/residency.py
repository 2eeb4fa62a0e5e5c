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

from stoker.application import LoadPlan
from stoker.artifact import Artifact
from stoker.config.limits import QueueConfig
from stoker.digest import Digest
from stoker.errors import (
    DeadlineExceededError,
    OperationCancelledError,
    OutOfMemoryError,
    StokerError,
)
from stoker.events import Event, Failed, Finished, Loading, Queued
from stoker.host import RunnerStatus
from stoker.request import Request
from stoker.supervisor.admission import Admission
from stoker.supervisor.failures import Failures
from stoker.supervisor.request_queue import RequestQueue
from stoker.supervisor.resident import Key, Resident, key_of
from stoker.supervisor.runner import ReportLoading, Runner
from stoker.supervisor.trace import Trace
from stoker.telemetry import LoadRecord, Telemetry, UnloadReason, UnloadRecord

_log = logging.getLogger(__name__)

Start = Callable[[LoadPlan, ReportLoading], Awaitable[Runner]]

DEFAULT_WAIT_TIMEOUT_S = 60.0
DEFAULT_QUEUE = QueueConfig()


class Residency:
    """The loaded models."""

    def __init__(
        self,
        start: Start,
        *,
        wait_timeout_s: float = DEFAULT_WAIT_TIMEOUT_S,
        queue: QueueConfig = DEFAULT_QUEUE,
        telemetry: Telemetry | None = None,
    ) -> None:
        """Make an empty residency.

        Args:
            start: Starts a runner and loads a plan's model in it.
            wait_timeout_s: How long a model may wait for memory that busy ones have.
            queue: How many requests may wait for a model, and how long.
            telemetry: Told of loads and unloads.
        """
        self._start = start
        self._queue = queue
        self._telemetry = telemetry or Telemetry()
        self._residents: dict[Key, Resident] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._failures = Failures()
        self._admission = Admission(
            self._residents.values, self._evict, wait_timeout_s=wait_timeout_s
        )

    def plan_of(self, artifact: Artifact, backend: str | None) -> LoadPlan | None:
        """The plan of a model that is loaded or being loaded under this name; else None.

        Args:
            artifact: The model, with the name that it was asked for by.
            backend: The backend that the request pins, if it does.
        """
        for resident in self._residents.values():
            plan = resident.plans.get((artifact.reference, backend))
            if plan is not None and plan.artifact.digest == artifact.digest:
                return None if resident.unloading else plan
        return None

    def configure(self, *, wait_timeout_s: float, queue: QueueConfig) -> None:
        """Have other bounds from now on; queues that there are keep theirs."""
        self._admission.wait_timeout_s = wait_timeout_s
        self._queue = queue

    async def plan_again(self, plan: Callable[[Artifact, str | None], LoadPlan]) -> None:
        """Have the settings of loaded models decided anew.

        A model that would be loaded otherwise now keeps its runner until that is idle; the next
        request gets another one.

        Args:
            plan: Decides how a model is loaded, by a backend that a request has pinned; blocks.
        """
        for resident in list(self._residents.values()):
            for name, old in list(resident.plans.items()):
                try:
                    new = await asyncio.to_thread(plan, old.artifact, name[1])
                except StokerError as exc:
                    _log.warning("%s cannot be loaded any more: %s", resident.name, exc)
                    new = None
                if new is not None and key_of(new) == resident.key:
                    resident.plans[name] = new
                else:
                    resident.plans.pop(name, None)
            if resident.runner is not None and not resident.users and not resident.gone.is_set():
                # Its time to stay begins anew, as the new settings say.
                self._use(resident)
                self._leave(resident, None)

    def context_length(self, digest: Digest) -> int | None:
        """The longest context with which a model is loaded; None when it is not."""
        infos = [
            resident.runner.info
            for key, resident in self._residents.items()
            if key[0] == digest and resident.runner is not None
        ]
        return max((info.context_length for info in infos if info is not None), default=None)

    async def answer(
        self, plan: LoadPlan, request: Request, trace: Trace
    ) -> AsyncGenerator[Event, None]:
        """Answer a request, loading its model first where needed, when its turn has come.

        Concurrent first requests share one load. A load goes on when the client that began it
        leaves, as long as another one waits.
        """
        try:
            resident = await self._resident(plan, request.backend)
            turn = resident.queue.enter(trace.context.caller.name, request)
        except StokerError as exc:
            yield trace.failed(exc)
            return
        self._use(resident)
        try:
            async with contextlib.aclosing(_watch(resident, trace.deadline_s)) as stages:
                async for loading in stages:
                    yield loading
            runner = await _loaded(resident)
            trace.loaded()
            if turn.granted_s is None:
                positions = resident.queue.positions(turn, trace.deadline_s)
                async with contextlib.aclosing(positions):
                    async for position in positions:
                        yield Queued(position)
            trace.admitted()
            answer = runner.answer(request, deadline_s=trace.deadline_s)
            async with contextlib.aclosing(answer) as events:
                async for event in events:
                    if isinstance(event, Finished | Failed):
                        yield self._ended(resident, event, trace)
                        continue
                    yield event
        except StokerError as exc:
            yield trace.failed(exc)
        finally:
            resident.queue.leave(turn)
            self._leave(resident, request.keep_alive_s)

    def _ended(
        self, resident: Resident, event: Finished | Failed, trace: Trace
    ) -> Finished | Failed:
        """Take note of a request's last event; it comes back with the waits."""
        trace.end = event
        if isinstance(event, Failed):
            return event
        usage, decode_s = event.usage, event.timings.decode_s
        if usage.completion_tokens > 1 and decode_s > 0:
            # The first token is the prefill's.
            resident.tokens_per_s = (usage.completion_tokens - 1) / decode_s
        if not resident.answered:
            resident.answered = True
            self._failures.forget(resident.key)
        timings = attrs.evolve(event.timings, load_s=trace.load_s, queue_s=trace.queue_s)
        return attrs.evolve(event, timings=timings)

    async def preload(
        self, plan: LoadPlan, *, backend: str | None = None, keep_alive_s: float | None = None
    ) -> AsyncGenerator[Loading, None]:
        """Load a model although nobody asks for it yet; ends when it is loaded.

        Args:
            plan: How to load it.
            backend: The backend that was asked for, if one was.
            keep_alive_s: How long it stays when nobody uses it; None for what the config says.

        Raises:
            StokerError: It cannot be loaded.
        """
        resident = await self._resident(plan, backend)
        self._use(resident)
        try:
            async with contextlib.aclosing(_watch(resident, math.inf)) as stages:
                async for loading in stages:
                    yield loading
            await _loaded(resident)
        finally:
            self._leave(resident, keep_alive_s)

    def statuses(self) -> list[RunnerStatus]:
        """What is loaded, sorted by name."""
        now_s = asyncio.get_running_loop().time()
        return sorted(
            (resident.status(now_s) for resident in self._residents.values()),
            key=lambda status: (status.model, status.backend),
        )

    async def unload(
        self, digest: Digest, *, backend: str | None = None, only_idle: bool = False
    ) -> int:
        """Unload a model; requests inside fail.

        A model that failed again and again may be tried again at once after this.

        Args:
            digest: The model.
            backend: The backend to unload it from; None for every one.
            only_idle: Leave runners alone that somebody uses or waits for.

        Returns:
            How many runners have ended.
        """
        self._failures.forget_model(digest)
        residents = [
            found
            for key, found in self._residents.items()
            if key[0] == digest and backend in {None, key[1]} and not (only_idle and found.users)
        ]
        await self._unload_all(residents)
        return len(residents)

    async def close(self) -> None:
        """Unload everything."""
        await self._unload_all(list(self._residents.values()))
        await asyncio.gather(*self._tasks)

    async def _unload_all(self, residents: Iterable[Resident]) -> None:
        residents = tuple(residents)
        for resident in residents:
            self._unload(resident, UnloadReason.ASKED)
        for resident in residents:
            await resident.gone.wait()

    async def _resident(self, plan: LoadPlan, backend: str | None) -> Resident:
        """Find a plan's resident, or make it and begin to load it.

        Raises:
            LoadError: It failed too often just now.
        """
        key = key_of(plan)
        while (resident := self._residents.get(key)) is not None and resident.unloading:
            await resident.gone.wait()
        if resident is None:
            self._failures.check(
                key, plan.artifact.reference.familiar, asyncio.get_running_loop().time()
            )
            queue = RequestQueue(
                plan.artifact.reference.familiar,
                max_waiting=self._queue.max_waiting,
                wait_timeout_s=self._queue.wait_timeout_s,
            )
            resident = self._residents[key] = Resident(plan, queue)
            resident.load = asyncio.create_task(self._load(resident))
        resident.plans[plan.artifact.reference, backend] = plan
        return resident

    async def _load(self, resident: Resident) -> Runner:
        clock = asyncio.get_running_loop().time
        started_s = clock()
        try:
            await self._admission.admit(resident)
            _log.info("Loading %s with %s", resident.name, resident.plan.backend.name)
            started_s = clock()
            runner = resident.runner = await self._started(resident)
            resident.queue.open(runner.info)
        except BaseException as exc:
            if isinstance(exc, StokerError) and not isinstance(exc, OperationCancelledError):
                self._tell_load(resident, clock() - started_s, exc)
            self._forget(resident)
            raise
        finally:
            resident.progressed.set()
        resident.idle_since_s = clock()
        resident.loading_s = resident.idle_since_s - started_s
        self._tell_load(resident, resident.loading_s)
        _log.info("Loaded %s in %.1f s, process %d", resident.name, resident.loading_s, runner.pid)
        self._spawn(self._mourn(resident, runner))
        return runner

    async def _started(self, resident: Resident) -> Runner:
        """Start the runner; once more, after others have left, when memory was short."""
        try:
            try:
                return await self._start(resident.plan, resident.report)
            except OutOfMemoryError as exc:
                _log.warning("%s ran out of memory while it loaded: %s", resident.name, exc)
                if not await self._admission.make_room(resident):
                    raise
                return await self._start(resident.plan, resident.report)
        except OperationCancelledError:
            raise
        except StokerError as exc:
            self._failures.note(resident.key, exc, asyncio.get_running_loop().time())
            raise

    async def _mourn(self, resident: Resident, runner: Runner) -> None:
        """Forget a resident whose runner is gone, so that the next request loads it again."""
        await runner.ended.wait()
        _log.info("The runner of %s has ended, process %d", resident.name, runner.pid)
        if not resident.unloading and not resident.answered:
            now_s = asyncio.get_running_loop().time()
            self._failures.note(resident.key, runner.crash, now_s)
        self._forget(resident)

    def _use(self, resident: Resident) -> None:
        resident.users += 1
        if resident.expiry is not None:
            resident.expiry.cancel()
            resident.expiry = None

    def _leave(self, resident: Resident, keep_alive_s: float | None) -> None:
        """A request has ended; the last one's keep-alive counts, if it brought one."""
        resident.users -= 1
        if resident.users or resident.gone.is_set():
            return
        loop = asyncio.get_running_loop()
        resident.idle_since_s = loop.time()
        if keep_alive_s is None:
            keep_alive_s = resident.keep_alive_s
        if resident.runner is None:
            # Nobody waits for this load any more.
            self._unload(resident, UnloadReason.IDLE)
        elif not math.isinf(keep_alive_s) and not resident.pinned:
            resident.expiry = loop.call_later(keep_alive_s, self._expire, resident)
        self._admission.wake()

    def _expire(self, resident: Resident) -> None:
        if not resident.users:
            self._unload(resident, UnloadReason.IDLE)

    def _evict(self, resident: Resident) -> None:
        self._unload(resident, UnloadReason.EVICTED)

    def _tell_load(
        self, resident: Resident, load_s: float, error: StokerError | None = None
    ) -> None:
        backend = resident.plan.backend.name
        self._telemetry.tell(LoadRecord(resident.name, backend, load_s, error))

    def _forget(self, resident: Resident) -> None:
        if resident.expiry is not None:
            resident.expiry.cancel()
        if self._residents.get(resident.key) is resident:
            del self._residents[resident.key]
        resident.holds_memory = False
        if resident.runner is not None and not resident.gone.is_set():
            backend = resident.plan.backend.name
            self._telemetry.tell(UnloadRecord(resident.name, backend, resident.reason))
        resident.gone.set()
        resident.queue.close()
        self._admission.wake()

    def _unload(self, resident: Resident, reason: UnloadReason) -> None:
        """Begin to unload; `gone` tells the end. A no-op when that has begun already."""
        if not resident.unloading:
            resident.unloading = True
            resident.reason = reason
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


async def _watch(resident: Resident, deadline_s: float) -> AsyncGenerator[Loading, None]:
    """Loading progress, until the load has ended one way or the other.

    Raises:
        DeadlineExceededError: The request that waits is to be given up.
    """
    told: Loading | None = None
    clock = asyncio.get_running_loop().time
    while not resident.load.done():
        if resident.progress is not told:
            # Again from the start: there may be news since.
            told = resident.progress
            yield told
            continue
        progressed = asyncio.create_task(resident.progressed.wait())
        try:
            done, _ = await asyncio.wait(
                [resident.load, progressed],
                timeout=None if math.isinf(deadline_s) else max(deadline_s - clock(), 0),
                return_when=asyncio.FIRST_COMPLETED,
            )
        finally:
            progressed.cancel()
        if not done:
            raise DeadlineExceededError(
                f"The request's deadline passed while {resident.name} was loaded."
            )


async def _loaded(resident: Resident) -> Runner:
    try:
        return await asyncio.shield(resident.load)
    except asyncio.CancelledError:
        if resident.load.cancelled():
            raise OperationCancelledError(
                f"{resident.name} was unloaded while it loaded."
            ) from None
        raise
