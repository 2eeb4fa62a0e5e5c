"""Streams that are held open while their engine says nothing."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

from stoker_process import Server

from api_load.connection import Connection, post
from api_load.requests import CHAT
from api_load.toy_server import ProcessUse, instant_server
from api_load.workload import CHAT_PATH, Load, metric
from stoker.descriptor_limit import raise_descriptor_limit

STREAMS = 1000
HOLD_S = 25
QUIET_S = 5.0
"""How long before the engine begins the use of the processor is measured."""


class Idle(Load):
    """A thousand at once."""

    name = "idle"
    summary = "1,000 streams at once whose engine says nothing for 25 s; 5 s of that are measured"
    metrics = (
        metric("streams that finished", "", more=True),
        metric("comments in each, at least", "", more=True),
        metric("memory of a stream, all processes", "KiB"),
        metric("supervisor while nothing comes", "cores"),
        metric("from the first token to the last stream's end", "s"),
    )

    def measure(self, folder: Path) -> tuple[dict[str, float], float]:
        """Open all, look at the quiet, and read all to their ends."""
        raise_descriptor_limit()
        environ = {
            "STOKER_LIMITS__MAX_CONCURRENT_REQUESTS": str(2 * STREAMS),
            "STOKER_QUEUE__MAX_WAITING": str(2 * STREAMS),
            "STOKER_BACKENDS__INSTANT__HOLD_S": str(HOLD_S),
            "STOKER_BACKENDS__INSTANT__MAX_SEQUENCES": str(STREAMS),
        }
        with instant_server(folder / "home", environ) as server:
            return asyncio.run(self._measure(server))

    async def _measure(self, server: Server) -> tuple[dict[str, float], float]:
        request = post(server.url, CHAT_PATH, CHAT | {"stream": True})
        # It loads the model, so that the memory before is that of an idle server.
        await (await Connection.open(server.url)).ask(request)
        empty = ProcessUse.of(server)
        client_s, started_s = time.process_time(), time.perf_counter()
        connections = [await Connection.open(server.url) for _ in range(STREAMS)]
        answers = asyncio.gather(*(each.ask(request) for each in connections))
        asked_s = time.perf_counter()
        await asyncio.sleep(HOLD_S - 2 * QUIET_S)
        before, before_s = ProcessUse.of(server), time.perf_counter()
        await asyncio.sleep(QUIET_S)
        after, after_s = ProcessUse.of(server), time.perf_counter()
        await answers
        ended_s = time.perf_counter()
        quiet_s = after_s - before_s
        figures = {
            "streams that finished": float(len(connections)),
            "comments in each, at least": float(min(each.comments for each in connections)),
            "memory of a stream, all processes": (
                (after.memory_mib - empty.memory_mib) * 1024 / STREAMS
            ),
            "supervisor while nothing comes": (after.supervisor_s - before.supervisor_s) / quiet_s,
            "from the first token to the last stream's end": ended_s - asked_s - HOLD_S,
        }
        for connection in connections:
            connection.close()
        return figures, (time.process_time() - client_s) / (ended_s - started_s)
