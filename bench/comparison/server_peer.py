"""Peers that are servers with OpenAI's route for completions."""

from __future__ import annotations

import abc
import asyncio
import contextlib
import http.client
import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import attrs

from comparison.client import Recording, read, record
from comparison.generation import Arrival, Generation, Reading
from comparison.peer import Peer, PeerError, Serving, Session

START_LIMIT_S = 120
STOP_LIMIT_S = 30
POLL_S = 0.005
_BAN = -100.0
"""A bias so low that a token is never taken."""


class ServerPeer(Peer):
    """Starts a process, waits until it answers, and speaks its dialect."""

    ready_path = "/v1/models"
    """Answered with 200 as soon as requests are."""

    @abc.abstractmethod
    def command(self, serving: Serving, port: int, folder: Path) -> list[str]:
        """The command line that serves on a port."""

    def environ(self, serving: Serving) -> Mapping[str, str]:
        """What the process finds in its environment beside ours."""
        del serving
        return {}

    def model_name(self, serving: Serving) -> str:
        """What requests call the model."""
        return serving.model.reference

    def go_on(self, generation: Generation, model_ends: Sequence[int]) -> dict[str, Any]:
        """The fields that make an answer go on when the model ends it."""
        del generation, model_ends
        return {"ignore_eos": True}

    @staticmethod
    def banned(tokens: Sequence[int]) -> dict[str, Any]:
        """The fields that keep tokens out of an answer."""
        return {"logit_bias": {str(token): _BAN for token in tokens}}

    @abc.abstractmethod
    def constrain(self, schema: Mapping[str, Any]) -> dict[str, Any]:
        """The fields that make an answer keep to a schema."""

    @contextlib.contextmanager
    def session(self, serving: Serving, folder: Path) -> Iterator[Session]:
        """Run the server."""
        port = _free_port()
        log = folder / f"{self.label.replace('/', '_')}.log"
        command = self.command(serving, port, folder)
        launched_s = time.perf_counter()
        with log.open("wb") as output:
            process = subprocess.Popen(
                command,
                env={**os.environ, **self.environ(serving)},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        try:
            _wait_until_ready(process, port, self.ready_path, log)
            yield ServerSession(self, serving, port, process.pid, launched_s)
        finally:
            _end(process)


@attrs.define
class ServerSession(Session):
    """A running server."""

    peer: ServerPeer
    serving: Serving
    port: int
    _pid: int
    launched_s: float

    @property
    def pid(self) -> int:
        """The process that was started."""
        return self._pid

    async def play(self, arrivals: Sequence[Arrival]) -> list[Reading]:
        """Send all requests in time; read what the answers say when the last one is there."""
        recordings = await asyncio.gather(*(self._record(arrival) for arrival in arrivals))
        return [
            self._read(arrival.generation, recording)
            for arrival, recording in zip(arrivals, recordings, strict=True)
        ]

    def _body(self, generation: Generation) -> dict[str, Any]:
        body: dict[str, Any] = {
            "model": self.peer.model_name(self.serving),
            "prompt": generation.prompt,
            "max_tokens": generation.max_tokens,
            "temperature": 0,
            "stream": True,
            "stream_options": {"include_usage": True},
        }
        if generation.seed is not None:
            body |= {"temperature": 1, "seed": generation.seed}
        if generation.schema is None:
            return body | self.peer.go_on(generation, self.serving.model.end_tokens)
        return body | self.peer.constrain(generation.schema)

    async def _record(self, arrival: Arrival) -> Recording:
        if arrival.at_s:
            await asyncio.sleep(arrival.at_s)
        url = f"http://127.0.0.1:{self.port}/v1/completions"
        return await record(url, self._body(arrival.generation))

    def _read(self, generation: Generation, recording: Recording) -> Reading:
        reading = read(recording)
        if not reading.completion_tokens:
            # The servers of llama-cpp-python report no usage in a stream. An answer that ended for
            # its length has as many tokens as were asked for; else each event was a token.
            at_length = reading.finish_reason == "length"
            count = generation.max_tokens if at_length else len(reading.texts_s)
            reading = attrs.evolve(reading, completion_tokens=count)
        if generation.schema is None and reading.completion_tokens != generation.max_tokens:
            raise PeerError(
                f"{reading.completion_tokens} tokens came where {generation.max_tokens} were"
                f" asked for ({reading.finish_reason})"
            )
        return reading


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _wait_until_ready(process: subprocess.Popen[bytes], port: int, path: str, log: Path) -> None:
    deadline = time.monotonic() + START_LIMIT_S
    while time.monotonic() < deadline and process.poll() is None:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
        with contextlib.suppress(OSError, http.client.HTTPException):
            connection.request("GET", path)
            if connection.getresponse().status == http.client.OK:
                return
        connection.close()
        time.sleep(POLL_S)
    end = "\n".join(log.read_text(errors="replace").splitlines()[-20:])
    raise PeerError(f"it did not start ({process.args!r}):\n{end}")


def _end(process: subprocess.Popen[bytes]) -> None:
    """Ask it to end; then end it and all that it started."""
    process.send_signal(signal.SIGINT)
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(STOP_LIMIT_S)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait(STOP_LIMIT_S)
