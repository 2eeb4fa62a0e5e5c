"""A runner, seen from the supervisor: start it, ask it, end it."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import socket
import sys
from collections.abc import AsyncGenerator, Awaitable
from typing import Protocol

import msgspec

from stoker.application import LoadPlan
from stoker.engine import EngineInfo
from stoker.errors import (
    BrokenFrameError,
    LoadError,
    OverloadedError,
    RunnerCrashedError,
    StokerError,
    UnavailableError,
)
from stoker.events import Event, Failed
from stoker.request import Request
from stoker.supervisor.event_queue import EventQueue
from stoker.supervisor.last_words import LastWords
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
_CLOSE_TIMEOUT_S = 5.0
_KILL_TIMEOUT_S = 10.0


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
        process: asyncio.subprocess.Process,
        streams: tuple[asyncio.StreamReader, asyncio.StreamWriter],
    ) -> None:
        self._name = plan.artifact.reference.familiar
        self._process = process
        self._reader, self._writer = streams
        self._frames: FrameReader[FromRunner] = FrameReader(FromRunner)
        self._queues: dict[int, EventQueue] = {}
        self._next_id = 0
        self._closing = False
        self._last_words = LastWords()
        self._ready: asyncio.Future[EngineInfo] = asyncio.get_running_loop().create_future()
        self._ready.add_done_callback(_seen)
        self.info: EngineInfo | None = None
        self.ended = asyncio.Event()
        """Set when the process is gone, whatever the reason."""

    @classmethod
    async def start(cls, plan: LoadPlan, *, timeout_s: float, report: ReportLoading) -> Runner:
        """Start a process and load the model in it.

        Args:
            plan: What to load, and how.
            timeout_s: How long loading may take.
            report: Told how loading goes.

        Raises:
            LoadError: The engine could not load the model, took too long or died.
            StokerError: Whatever else the backend raised.
        """
        ours, theirs = socket.socketpair()
        with theirs:
            try:
                # -P: a runner must not import from the folder that the user happens to be in.
                process = await asyncio.create_subprocess_exec(
                    *(sys.executable, "-P", "-m", "stoker.runner", str(theirs.fileno())),
                    stdin=asyncio.subprocess.DEVNULL,
                    stdout=asyncio.subprocess.PIPE,
                    stderr=asyncio.subprocess.STDOUT,
                    pass_fds=(theirs.fileno(),),
                    # Ctrl-C in a terminal is for the supervisor, which ends its runners itself.
                    start_new_session=True,
                )
            except OSError as exc:
                ours.close()
                raise LoadError(f"A runner process could not be started: {exc}.") from exc
        runner = cls(plan, process, await asyncio.open_connection(sock=ours))
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
            )
        )
        try:
            self.info = await asyncio.wait_for(asyncio.shield(self._ready), timeout_s)
        except TimeoutError as exc:
            raise LoadError(
                f"Loading {self._name} took longer than {timeout_s:g} s and was given up;"
                " defaults.load_timeout_s in the config allows more."
            ) from exc

    async def answer(self, request: Request) -> AsyncGenerator[Event, None]:
        """Answer a request; closing the generator cancels it. Ends with `Finished` or `Failed`."""
        request_id, self._next_id = self._next_id, self._next_id + 1
        queue = self._queues[request_id] = EventQueue()
        try:
            if self.ended.is_set():
                queue.put(Failed(self._crash()))
            else:
                self._send(Submit(request_id, request_to_wire(request)))
            async with contextlib.aclosing(queue.read()) as events:
                async for event in events:
                    yield event
        finally:
            del self._queues[request_id]
            if not queue.ended:
                self._send(Cancel(request_id))

    async def close(self) -> None:
        """End the process, gently first; returns when it is gone. Requests inside fail."""
        self._closing = True
        self._send(Shutdown())
        if not await _in_time(self.ended.wait(), _CLOSE_TIMEOUT_S):
            self._kill()
            await _in_time(self.ended.wait(), _KILL_TIMEOUT_S)

    def _kill(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            self._process.kill()

    def _send(self, frame: ToRunner) -> None:
        # A writer whose peer is gone drops what it is given; the reading task sees the end.
        if not self._writer.is_closing():
            self._writer.write(encode_frame(frame))

    async def _read(self, report: ReportLoading) -> None:
        words = asyncio.create_task(self._drain_output())
        try:
            while data := await self._reader.read(_CHUNK):
                for frame in self._frames.feed(data):
                    self._take(frame, report)
        except (OSError, BrokenFrameError):
            self._kill()
        finally:
            self._writer.close()
            if not await _in_time(self._process.wait(), _CLOSE_TIMEOUT_S):
                self._kill()
                await _in_time(self._process.wait(), _KILL_TIMEOUT_S)
            await _in_time(words, _CLOSE_TIMEOUT_S)
            self._end()

    async def _drain_output(self) -> None:
        if self._process.stdout is not None:
            await self._last_words.drain(self._process.stdout)

    def _take(self, frame: FromRunner, report: ReportLoading) -> None:
        match frame:
            case Step():
                for request_id, event in frame.to_domain():
                    queue = self._queues.get(request_id)
                    if queue is not None and not queue.put(event):
                        self._give_up(request_id, queue)
            case LoadProgress(stage, fraction):
                report(stage, fraction)
            case Ready(info):
                if not self._ready.done():
                    self._ready.set_result(info.to_domain())
            case LoadFailed(error):
                if not self._ready.done():
                    self._ready.set_exception(error.to_domain())

    def _give_up(self, request_id: int, queue: EventQueue) -> None:
        self._send(Cancel(request_id))
        queue.put(
            Failed(
                OverloadedError(
                    "The client reads more slowly than the model writes; its request was given up.",
                    retry_after_s=1.0,
                )
            )
        )

    def _end(self) -> None:
        """The process is gone: tell everyone who waits for it."""
        self.ended.set()
        error = self._crash()
        if not self._ready.done():
            self._ready.set_exception(LoadError(str(error)))
        for queue in self._queues.values():
            queue.put(Failed(error))

    def _crash(self) -> StokerError:
        if self._closing:
            return UnavailableError(f"{self._name} was unloaded while it answered.")
        words = self._last_words.summary
        return RunnerCrashedError(
            f"The runner of {self._name} {_how(self._process.returncode)}"
            + (f"; its last words: {words}" if words else "")
            + ". A new request loads the model again."
        )


async def _in_time(awaitable: Awaitable[object], timeout_s: float) -> bool:
    """Wait for something, for at most so long; whether it came."""
    try:
        await asyncio.wait_for(awaitable, timeout_s)
    except TimeoutError:
        return False
    return True


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
