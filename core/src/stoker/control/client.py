"""The command line's side of the control socket."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Sequence
from pathlib import Path

import attrs

from stoker.control.place import socket_path
from stoker.errors import UnavailableError
from stoker.events import Event, Failed, Finished
from stoker.host import LogLines, RunnerStatus
from stoker.request import Request
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
    Step,
    Submit,
    ToServer,
    Unload,
    Unloaded,
    encode_frame,
)
from stoker.wire.request import request_to_wire

_CHUNK = 256 * 1024
_CONNECT_TIMEOUT_S = 5.0
_ANSWER_TIMEOUT_S = 60.0


@attrs.frozen
class ServerStatus:
    """A running server."""

    pid: int
    addresses: tuple[str, ...]
    runners: tuple[RunnerStatus, ...]


@attrs.frozen
class ControlClient:
    """Talks to the server of a home. Each call opens a connection of its own."""

    home: Path

    async def is_served(self) -> bool:
        """Whether a server runs for this home."""
        try:
            _, writer = await self._connect()
        except UnavailableError:
            return False
        writer.close()
        return True

    async def status(self) -> ServerStatus:
        """What the server is and has loaded.

        Raises:
            UnavailableError: No server runs, or it does not answer.
        """
        answer = await self._ask(ListRunners())
        if not isinstance(answer, Runners):
            raise _odd(answer)
        runners = tuple(runner.to_domain() for runner in answer.runners)
        return ServerStatus(answer.pid, answer.addresses, runners)

    async def unload(self, name: str) -> bool:
        """Unload a model; False when it was not loaded.

        Raises:
            StokerError: What the server said.
            UnavailableError: No server runs, or it does not answer.
        """
        answer = await self._ask(Unload(name))
        if not isinstance(answer, Unloaded):
            raise _odd(answer)
        return answer.unloaded

    async def reload(self) -> tuple[Sequence[str], Sequence[str]]:
        """Have the configuration read again: the keys that changed, those that need a restart.

        Raises:
            ConfigError: The configuration is wrong, and the old one stays.
            UnavailableError: No server runs, or it does not answer.
        """
        answer = await self._ask(Reload())
        if not isinstance(answer, ConfigReloaded):
            raise _odd(answer)
        return answer.changed, answer.needs_restart

    async def log(self, name: str, after: int) -> LogLines:
        """What a model's engine printed, from a line on.

        Raises:
            StokerError: What the server said.
            UnavailableError: No server runs, or it does not answer.
        """
        answer = await self._ask(ReadLog(name, after))
        if not isinstance(answer, LogPart):
            raise _odd(answer)
        return LogLines(answer.lines, answer.next)

    async def answer(self, request: Request) -> AsyncGenerator[Event, None]:
        """As `stoker.host.Inference.answer`, for this user; a lost server is a `Failed`."""
        try:
            async with self._conversation(Submit(0, request_to_wire(request))) as frames:
                async for frame in frames:
                    for _, event in frame.to_domain() if isinstance(frame, Step) else ():
                        yield event
                        if isinstance(event, (Finished, Failed)):
                            return
            yield Failed(UnavailableError("The server ended while it answered."))
        except (UnavailableError, OSError) as exc:
            yield Failed(UnavailableError(f"The server cannot be reached: {exc}"))

    async def _ask(self, frame: ToServer) -> FromServer:
        async with self._conversation(frame) as frames:
            try:
                answer = await asyncio.wait_for(anext(frames), _ANSWER_TIMEOUT_S)
            except (StopAsyncIteration, TimeoutError, OSError) as exc:
                raise UnavailableError("The running server did not answer.") from exc
        if isinstance(answer, Refused):
            raise answer.error.to_domain()
        return answer

    async def _connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        try:
            return await asyncio.wait_for(
                asyncio.open_unix_connection(socket_path(self.home)), _CONNECT_TIMEOUT_S
            )
        except (OSError, TimeoutError) as exc:
            raise UnavailableError(
                "No server is running for this home; start one: stoker serve"
            ) from exc

    @contextlib.asynccontextmanager
    async def _conversation(
        self, frame: ToServer
    ) -> AsyncGenerator[AsyncGenerator[FromServer, None], None]:
        reader, writer = await self._connect()
        try:
            writer.write(encode_frame(frame))
            async with contextlib.aclosing(_frames(reader)) as frames:
                yield frames
        finally:
            writer.close()


async def _frames(reader: asyncio.StreamReader) -> AsyncGenerator[FromServer, None]:
    frames: FrameReader[FromServer] = FrameReader(FromServer)
    while data := await reader.read(_CHUNK):
        for frame in frames.feed(data):
            yield frame


def _odd(answer: FromServer) -> UnavailableError:
    return UnavailableError(
        f"The running server answered with {type(answer).__name__}: it is another version;"
        " restart it."
    )
