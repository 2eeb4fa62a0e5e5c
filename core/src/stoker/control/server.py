"""The server's side of the control socket."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
from collections.abc import AsyncGenerator, Generator, Sequence
from pathlib import Path
from typing import IO

from stoker.caller import LOCAL, RequestContext
from stoker.control.place import private_directory, socket_path
from stoker.errors import BrokenFrameError, ConflictError, StokerError, UnavailableError
from stoker.events import Failed
from stoker.host import Host
from stoker.supervisor.reloading import Reloader
from stoker.wire.errors import ErrorWire
from stoker.wire.frames import (
    ConfigReloaded,
    FrameReader,
    FromServer,
    ListRunners,
    LogPart,
    ReadLog,
    Refused,
    Reload,
    Runners,
    RunnerStatusWire,
    Step,
    Submit,
    ToServer,
    Unload,
    Unloaded,
    encode_frame,
)

_CHUNK = 256 * 1024
_FIRST_FRAME_TIMEOUT_S = 10.0


@contextlib.asynccontextmanager
async def control_server(
    home: Path, host: Host, addresses: Sequence[str], reloader: Reloader | None = None
) -> AsyncGenerator[None, None]:
    """Listen on a home's control socket while the block runs.

    Args:
        home: Stoker's home.
        host: What is asked.
        addresses: Where the transports listen; read when somebody asks.
        reloader: Reads the configuration again; None where that cannot be done.

    Raises:
        ConflictError: Another server runs for this home.
        UnavailableError: The socket cannot be made there.
    """
    path = socket_path(home)
    private_directory(path.parent)
    with _only_one(path.with_suffix(".lock")):
        tasks: set[asyncio.Task[None]] = set()

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            task = asyncio.current_task()
            if task is not None:
                tasks.add(task)
                task.add_done_callback(tasks.discard)
            await _Conversation(reader, writer, host, addresses, reloader).hold()

        try:
            path.unlink(missing_ok=True)
            server = await asyncio.start_unix_server(serve, path)
            # Its folder is private already; this holds also for who has the folder open.
            path.chmod(0o600)
        except OSError as exc:
            raise UnavailableError(
                f"The control socket {path} cannot be made: {exc.strerror or exc}."
            ) from exc
        try:
            yield
        finally:
            server.close()
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            path.unlink(missing_ok=True)


@contextlib.contextmanager
def _only_one(path: Path) -> Generator[None, None, None]:
    """Hold a home's server lock; the kernel lets it go when the process ends, however it ends."""
    try:
        lock = path.open("a+")
    except OSError as exc:
        raise UnavailableError(f"{path} cannot be opened: {exc.strerror or exc}.") from exc
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as exc:
            raise ConflictError(
                f"Another `stoker serve` runs for this home (process {_holder(lock)});"
                " stop it, or set STOKER_HOME to another folder."
            ) from exc
        lock.truncate(0)
        lock.write(str(os.getpid()))
        lock.flush()
        yield


def _holder(lock: IO[str]) -> str:
    lock.seek(0)
    return lock.read(20).strip() or "unknown"


class _Conversation:
    """One connection: one question and its answer."""

    def __init__(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        host: Host,
        addresses: Sequence[str],
        reloader: Reloader | None,
    ) -> None:
        self._reader = reader
        self._writer = writer
        self._host = host
        self._addresses = addresses
        self._reloader = reloader

    async def hold(self) -> None:
        """Answer, and close the connection. A peer that leaves or talks nonsense is let go."""
        try:
            frame = await asyncio.wait_for(self._question(), _FIRST_FRAME_TIMEOUT_S)
            if frame is not None:
                await self._answer(frame)
        except (OSError, TimeoutError, BrokenFrameError):
            return
        finally:
            self._writer.close()

    async def _question(self) -> ToServer | None:
        frames: FrameReader[ToServer] = FrameReader(ToServer)
        while data := await self._reader.read(_CHUNK):
            for frame in frames.feed(data):
                return frame
        return None

    async def _answer(self, frame: ToServer) -> None:
        if isinstance(frame, Submit):
            await self._generate(frame)
            return
        try:
            await self._send(await self._command(frame))
        except StokerError as exc:
            await self._send(Refused(ErrorWire.from_domain(exc)))

    async def _command(self, frame: ListRunners | ReadLog | Unload | Reload) -> FromServer:
        match frame:
            case ListRunners():
                runners = await self._host.status.runners()
                return Runners(
                    runners=tuple(map(RunnerStatusWire.from_domain, runners)),
                    addresses=tuple(self._addresses),
                    pid=os.getpid(),
                )
            case ReadLog(model, after):
                found = await self._host.status.log(model, after)
                return LogPart(found.lines, found.next)
            case Reload():
                if self._reloader is None:
                    raise UnavailableError("This server cannot read its configuration again.")
                done = await self._reloader.reload()
                return ConfigReloaded(done.changed, done.needs_restart)
            case Unload(model):
                return Unloaded(await self._host.status.unload(model, LOCAL))

    async def _generate(self, frame: Submit) -> None:
        answer = asyncio.create_task(self._send_events(frame))
        # The peer sends nothing more, so the end of its side means that it has left.
        left = asyncio.create_task(self._reader.read(1))
        try:
            await asyncio.wait([answer, left], return_when=asyncio.FIRST_COMPLETED)
            if answer.done():
                answer.result()
        finally:
            left.cancel()
            answer.cancel()
            await asyncio.gather(answer, left, return_exceptions=True)

    async def _send_events(self, frame: Submit) -> None:
        try:
            events = self._host.inference.answer(frame.request.to_domain(), RequestContext(LOCAL))
        except StokerError as exc:
            await self._send(Step.from_domain([(frame.request_id, Failed(exc))]))
            return
        async with contextlib.aclosing(events):
            async for event in events:
                await self._send(Step.from_domain([(frame.request_id, event)]))

    async def _send(self, frame: FromServer) -> None:
        self._writer.write(encode_frame(frame))
        await self._writer.drain()
