"""A runner's process and all that its engine may start: its start, its output, its end."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import sys
from collections.abc import Awaitable, Callable

from stoker.errors import LoadError
from stoker.supervisor.last_words import LastWords

_CLOSE_TIMEOUT_S = 5.0
_KILL_TIMEOUT_S = 10.0


class RunnerProcess:
    """A process in a group of its own, with a private socket to it.

    Attributes:
        reader: What the runner sends.
        writer: What it is sent.
        words: The last lines that it printed.
        killed: Whether it was ended by force, by us.
    """

    def __init__(
        self,
        process: asyncio.subprocess.Process,
        streams: tuple[asyncio.StreamReader, asyncio.StreamWriter],
        output: asyncio.StreamReader,
        output_transport: asyncio.ReadTransport,
        log: Callable[[str], None] | None,
    ) -> None:
        self._process = process
        self._output_transport = output_transport
        self.reader, self.writer = streams
        self.words = LastWords(log)
        self.killed = False
        self._draining = asyncio.create_task(self.words.drain(output))

    @classmethod
    async def spawn(cls, log: Callable[[str], None] | None = None) -> RunnerProcess:
        """Start a runner.

        Args:
            log: Told of every line that it prints.

        Raises:
            LoadError: The system has no process or no file descriptor left.
        """
        loop = asyncio.get_running_loop()
        with contextlib.ExitStack() as ours, contextlib.ExitStack() as theirs:
            try:
                our_end, their_end = socket.socketpair()
                ours.enter_context(our_end)
                theirs.enter_context(their_end)
                # Not a pipe of asyncio's: it takes a process for alive while anybody holds its
                # output open, and the engine may have started somebody.
                output_fd, their_output_fd = os.pipe()
                output_file = ours.enter_context(os.fdopen(output_fd, "rb", buffering=0))
                theirs.callback(os.close, their_output_fd)
                process = await asyncio.create_subprocess_exec(
                    # -P: a runner must not import from the folder that the user happens to be in.
                    *(sys.executable, "-P", "-m", "stoker.runner", str(their_end.fileno())),
                    stdin=asyncio.subprocess.DEVNULL,
                    stdout=their_output_fd,
                    stderr=asyncio.subprocess.STDOUT,
                    pass_fds=(their_end.fileno(),),
                    # Ctrl-C in a terminal is for the supervisor, which ends its runners itself. And
                    # whatever the engine starts is in the runner's group.
                    start_new_session=True,
                )
            except OSError as exc:
                raise LoadError(f"A runner process could not be started: {exc}.") from exc
            output = asyncio.StreamReader()
            transport, _ = await loop.connect_read_pipe(
                lambda: asyncio.StreamReaderProtocol(output), output_file
            )
            streams = await asyncio.open_connection(sock=our_end)
            # The transports have them now.
            ours.pop_all()
        return cls(process, streams, output, transport, log)

    @property
    def pid(self) -> int:
        """The process's id."""
        return self._process.pid

    @property
    def returncode(self) -> int | None:
        """How it ended, as `subprocess` tells it; None while it runs."""
        return self._process.returncode

    async def wait(self) -> None:
        """Wait for the end of the process itself."""
        await self._process.wait()

    def kill(self) -> None:
        """End the process and its group by force."""
        if self._process.returncode is None:
            self.killed = True
        self.sweep()

    def sweep(self) -> None:
        """End what is left of the process's group: itself, and all that the engine started."""
        # PermissionError is macOS's word for a group of zombies.
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)

    async def close(self) -> None:
        """See the process to its end, gently first, and free what it took here."""
        self.writer.close()
        if not await in_time(self._process.wait(), _CLOSE_TIMEOUT_S):
            self.kill()
            await in_time(self._process.wait(), _KILL_TIMEOUT_S)
        # Before the output is waited for: what the engine started has it open, too.
        self.sweep()
        await in_time(self._draining, _CLOSE_TIMEOUT_S)
        self._output_transport.close()


async def in_time(awaitable: Awaitable[object], timeout_s: float) -> bool:
    """Wait for something, for at most so long; whether it came."""
    try:
        await asyncio.wait_for(awaitable, timeout_s)
    except TimeoutError:
        return False
    return True
