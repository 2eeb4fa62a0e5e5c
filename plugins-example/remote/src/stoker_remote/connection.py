"""The connection to one server: an event loop in a thread of its own reads all answers at once.

A thread for each answer would do as well, but a thread that waits for the network cannot be
ended; a task can.
"""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import httpx

from stoker_remote.answer import AnswerReader
from stoker_remote.refusal import errors_of, refusal_of
from stoker_remote.sse import data_of
from stoker_remote.stream import RemoteStream

CONNECT_TIMEOUT_S = 10.0
CLOSE_TIMEOUT_S = 5.0
PAUSE_S = 0.02
"""How long a server is left unread whose words nobody has taken yet."""


class Connection:
    """Asks a server. `ask`, `wait` and `close` belong to the core's thread, the rest to the loop's.

    An answer is read by a task. At most `max_streams` tasks talk to the server; the others wait for
    their turn, which comes because the server's silence has a bound.
    """

    def __init__(self, url: str, *, key: str, timeout_s: float, max_streams: int) -> None:
        """Start the thread. Nothing is sent yet.

        Args:
            url: Of the API, with its version.
            key: The server's API key; empty sends none.
            timeout_s: How long the server may be silent.
            max_streams: How many answers are read at the same time.
        """
        self._url = url.rstrip("/")
        # Nothing that grows when it is unpacked: lengths are checked as they come.
        headers = {"Accept-Encoding": "identity"}
        if key:
            headers["Authorization"] = f"Bearer {key}"
        self._client = httpx.AsyncClient(
            headers=headers,
            timeout=httpx.Timeout(timeout_s, connect=CONNECT_TIMEOUT_S),
            limits=httpx.Limits(max_connections=max_streams),
        )
        self._places = asyncio.Semaphore(max_streams)
        self._closing = asyncio.Event()
        self._news = threading.Event()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, name=f"answers of {url}", daemon=True)
        self._thread.start()

    def ask(self, path: str, body: dict[str, Any]) -> RemoteStream:
        """Begin to ask for an answer."""
        stream = RemoteStream()
        answer = self._answer(path, body, stream)
        stream.begin(asyncio.run_coroutine_threadsafe(answer, self._loop))
        return stream

    def wait(self, timeout_s: float) -> None:
        """Wait until something has come, for so long at most.

        What comes between the look at the streams and this call has set the event already, and
        what comes between its two lines is seen by the next look.
        """
        self._news.wait(timeout_s)
        self._news.clear()

    def close(self) -> None:
        """Hang up, whatever is under way, and end the thread."""
        self._loop.call_soon_threadsafe(self._closing.set)
        self._thread.join(CLOSE_TIMEOUT_S)

    def _run(self) -> None:
        with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
            runner.run(self._serve())

    async def _serve(self) -> None:
        await self._closing.wait()
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._client.aclose()

    async def _answer(self, path: str, body: dict[str, Any], stream: RemoteStream) -> None:
        end: Exception | None = None
        try:
            async with self._places:
                with errors_of(self._url):
                    await self._read(path, body, stream)
        except Exception as exc:  # noqa: BLE001 - raised again where the answer is read
            end = exc
        stream.put(end)
        self._news.set()

    async def _read(self, path: str, body: dict[str, Any], stream: RemoteStream) -> None:
        reader = AnswerReader(self._url)
        async with self._client.stream("POST", f"{self._url}/{path}", json=body) as response:
            if not response.is_success:
                raise await refusal_of(self._url, response)
            async for data in data_of(response.aiter_bytes()):
                for piece in reader.feed(data):
                    stream.put(piece)
                    self._news.set()
                if reader.complete:
                    break
                while stream.full:  # noqa: ASYNC110 - a thread reads it, and is rarely so late
                    await asyncio.sleep(PAUSE_S)
        stream.put(reader.end())
