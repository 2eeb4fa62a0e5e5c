"""A runner, seen from the supervisor: start it, ask it, end it."""

from __future__ import annotations

import asyncio
import contextlib
import math
import signal
from collections.abc import AsyncGenerator, Callable
from typing import Protocol

import msgspec

from stoker.application import LoadPlan
from stoker.engine import EngineInfo
from stoker.errors import (
    BrokenFrameError,
    DeadlineExceededError,
    LoadError,
    OutOfMemoryError,
    OverloadedError,
    RunnerCrashedError,
    StokerError,
    UnavailableError,
)
from stoker.events import Event, Failed
from stoker.request import Request
from stoker.supervisor.event_queue import EventQueue
from stoker.supervisor.process import RunnerProcess, in_time
from stoker.wire.bundle import BundleWire
from stoker.wire.frames import (
    Cancel,
    FrameReader,
    FromRunner,
    Load,
    LoadFailed,
    LoadProgress,
    Ready,
    Shutdown,
    Step,
    Submit,
    ToRunner,
    encode_frame,
)
from stoker.wire.request import request_to_wire

_CHUNK = 256 * 1024
CLOSE_TIMEOUT_S = 5.0
LOAD_CLOSE_TIMEOUT_S = 1.0
"""The same during a load, which hears of the end whenever it reports progress, and has not
computed anything yet that would be lost."""
_KILL_TIMEOUT_S = 10.0
_END_OF_FRAMES_TIMEOUT_S = 2.0
"""How long frames may still come when the process is gone: what was in the socket, no more."""


class ReportLoading(Protocol):
    """Called on the event loop while a runner loads its model."""

    def __call__(self, stage: str, fraction: float | None) -> None:
        """Take the progress; see `stoker.events.Loading`."""


class Runner:
    """A runner process that has its model loaded.

    Its reading task owns `_queues`: it fills them, and when the process is gone it fails what is
    left in them.
    """

    def __init__(
        self,
        plan: LoadPlan,
        process: RunnerProcess,
        *,
        step_timeout_s: float,
    ) -> None:
        self._name = plan.artifact.reference.familiar
        self._process = process
        self._writer = process.writer
        self._frames: FrameReader[FromRunner] = FrameReader(FromRunner)
        self._queues: dict[int, EventQueue] = {}
        self._next_id = 0
        self._closing = False
        self._step_timeout_s = step_timeout_s
        self._heard_s = 0.0
        """When the process gave its last sign of life, or was first asked for something."""
        self._watchdog: asyncio.TimerHandle | None = None
        self._hung = False
        self._ready: asyncio.Future[EngineInfo] = asyncio.get_running_loop().create_future()
        self._ready.add_done_callback(_seen)
        self.info: EngineInfo | None = None
        self.ended = asyncio.Event()
        """Set when the process is gone, whatever the reason."""

    @classmethod
    async def start(
        cls,
        plan: LoadPlan,
        *,
        timeout_s: float,
        report: ReportLoading,
        step_timeout_s: float = math.inf,
        log: Callable[[str], None] | None = None,
    ) -> Runner:
        """Start a process and load the model in it.

        Args:
            plan: What to load, and how.
            timeout_s: How long loading may take.
            report: Told how loading goes.
            step_timeout_s: How long it may be silent while it has requests.
            log: Told of every line that it prints.

        Raises:
            OutOfMemoryError: Memory was short.
            LoadError: The engine could not load the model, took too long or died.
            StokerError: Whatever else the backend raised.
        """
        runner = cls(plan, await RunnerProcess.spawn(log), step_timeout_s=step_timeout_s)
        try:
            await runner._load(plan, timeout_s, report)
        except BaseException:
            await runner.close()
            raise
        return runner

    @property
    def pid(self) -> int:
        """The process's id."""
        return self._process.pid

    async def _load(self, plan: LoadPlan, timeout_s: float, report: ReportLoading) -> None:
        self._task = asyncio.create_task(self._read(report))
        self._send(
            Load(
                plugin=plan.plugin,
                backend=plan.backend.name,
                bundle=BundleWire.from_domain(plan.bundle),
                options=msgspec.to_builtins(plan.options),
                parser_plugins=plan.parser_plugins,
                parser=plan.parser,
            )
        )
        try:
            self.info = await asyncio.wait_for(asyncio.shield(self._ready), timeout_s)
        except TimeoutError as exc:
            raise LoadError(
                f"Loading {self._name} took longer than {timeout_s:g} s and was given up;"
                " defaults.load_timeout_s in the config allows more."
            ) from exc

    async def answer(
        self, request: Request, *, deadline_s: float = math.inf
    ) -> AsyncGenerator[Event, None]:
        """Answer a request; closing the generator cancels it. Ends with `Finished` or `Failed`.

        Args:
            request: What is asked.
            deadline_s: The event loop's time when it is given up.
        """
        request_id, self._next_id = self._next_id, self._next_id + 1
        if not self._busy:
            # It was silent until now because it had nothing to do.
            self._heard_s = asyncio.get_running_loop().time()
        queue = self._queues[request_id] = EventQueue()
        alarm: asyncio.TimerHandle | None = None
        if math.isfinite(deadline_s):
            loop = asyncio.get_running_loop()
            error = DeadlineExceededError("The request's deadline passed before its answer's end.")
            alarm = loop.call_at(deadline_s, self._give_up, request_id, queue, error)
        try:
            if self.ended.is_set():
                queue.put(Failed(self.crash))
            else:
                self._watch()
                self._submit(request_id, request, queue)
            async with contextlib.aclosing(queue.read()) as events:
                async for event in events:
                    yield event
        finally:
            if alarm is not None:
                alarm.cancel()
            del self._queues[request_id]
            if not queue.ended:
                self._send(Cancel(request_id))

    async def close(self) -> None:
        """End the process, gently first; returns when it is gone. Requests inside fail."""
        self._closing = True
        self._send(Shutdown())
        timeout_s = LOAD_CLOSE_TIMEOUT_S if self.info is None else CLOSE_TIMEOUT_S
        if not await in_time(self.ended.wait(), timeout_s):
            self._process.kill()
            await in_time(self.ended.wait(), _KILL_TIMEOUT_S)

    @property
    def _busy(self) -> bool:
        return not all(queue.ended for queue in self._queues.values())

    def _watch(self) -> None:
        """Begin to look for signs of life, if that is not done already."""
        if self._watchdog is None and math.isfinite(self._step_timeout_s):
            loop = asyncio.get_running_loop()
            self._watchdog = loop.call_later(self._step_timeout_s, self._look)

    def _look(self) -> None:
        loop = asyncio.get_running_loop()
        self._watchdog = None
        if self.ended.is_set() or not self._busy:
            return
        left_s = self._heard_s + self._step_timeout_s - loop.time()
        if left_s > 0:
            self._watchdog = loop.call_later(left_s, self._look)
        else:
            self._hung = True
            self._process.kill()

    def _send(self, frame: ToRunner) -> None:
        # A writer whose peer is gone drops what it is given; the reading task sees the end.
        if not self._writer.is_closing():
            self._writer.write(encode_frame(frame))

    async def _read(self, report: ReportLoading) -> None:
        undertaker = asyncio.create_task(self._bury())
        try:
            while data := await self._process.reader.read(_CHUNK):
                self._heard_s = asyncio.get_running_loop().time()
                for frame in self._frames.feed(data):
                    self._take(frame, report)
        except (OSError, BrokenFrameError):
            self._process.kill()
        finally:
            await self._process.close()
            undertaker.cancel()
            self._end()

    async def _bury(self) -> None:
        """When the process is gone, see to it that the end of its frames comes."""
        await self._process.wait()
        # What the engine started may hold the socket open.
        self._process.sweep()
        await asyncio.sleep(_END_OF_FRAMES_TIMEOUT_S)
        self._writer.transport.abort()

    def _take(self, frame: FromRunner, report: ReportLoading) -> None:
        match frame:
            case Step():
                for request_id, event in frame.to_domain():
                    queue = self._queues.get(request_id)
                    if queue is not None and not queue.put(event):
                        self._give_up(request_id, queue, _slow_client())
            case LoadProgress(stage, fraction):
                report(stage, fraction)
            case Ready(info):
                if not self._ready.done():
                    self._ready.set_result(info.to_domain())
            case LoadFailed(error):
                if not self._ready.done():
                    self._ready.set_exception(error.to_domain())

    def _submit(self, request_id: int, request: Request, queue: EventQueue) -> None:
        try:
            self._send(Submit(request_id, request_to_wire(request)))
        except StokerError as exc:
            queue.put(Failed(exc))

    def _give_up(self, request_id: int, queue: EventQueue, error: StokerError) -> None:
        if not queue.ended:
            self._send(Cancel(request_id))
            queue.put(Failed(error))

    def _end(self) -> None:
        """The process is gone: tell everyone who waits for it."""
        self.ended.set()
        if self._watchdog is not None:
            self._watchdog.cancel()
        error = self.crash
        if not self._ready.done():
            short = self._process.returncode == -signal.SIGKILL and not self._process.killed
            self._ready.set_exception(
                OutOfMemoryError(f"{error} That is what the system does when memory is short.")
                if short
                else LoadError(str(error))
            )
        for queue in self._queues.values():
            queue.put(Failed(error))

    @property
    def crash(self) -> StokerError:
        """Why the process is gone, in a sentence; for when it is."""
        if self._closing:
            return UnavailableError(f"{self._name} was unloaded while it answered.")
        words = self._process.words.summary
        if self._hung:
            return RunnerCrashedError(
                f"The engine of {self._name} gave no sign of life for {self._step_timeout_s:g} s"
                " and was ended; defaults.step_timeout_s in the config allows more. A new request"
                " loads the model again."
            )
        return RunnerCrashedError(
            f"The runner of {self._name} {_how(self._process.returncode)}"
            + (f"; its last words: {words}" if words else "")
            + ". A new request loads the model again."
        )


def _slow_client() -> StokerError:
    return OverloadedError(
        "The client reads more slowly than the model writes; its request was given up.",
        retry_after_s=1.0,
    )


def _how(code: int | None) -> str:
    if code is None:
        return "hangs"
    if code >= 0:
        return f"ended with exit code {code}"
    try:
        return f"was killed by {signal.Signals(-code).name}"
    except ValueError:
        return f"was killed by signal {-code}"


def _seen(future: asyncio.Future[EngineInfo]) -> None:
    """Mark a failed load as looked at: nobody may be waiting for it any more."""
    if not future.cancelled():
        future.exception()
