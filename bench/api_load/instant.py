"""Loads on the instant model: what stoker itself costs."""

from __future__ import annotations

import asyncio
import statistics
import time
from pathlib import Path

from stoker_process import Server

from api_load.connection import Connection
from api_load.requests import all_requests
from api_load.toy_server import ProcessUse, instant_server
from api_load.workload import MS, Load, metric

WARM_UP = 50
REQUESTS = 500
CONNECTIONS = 16
THROUGHPUT_S = 5.0
ROUTES = ("chat", "chat, stream", "messages", "messages, stream", "ollama, stream", "responses")


class Latency(Load):
    """One request after the other."""

    name = "latency"
    summary = "one request of 16 tokens after the other over one connection; medians of 500"
    metrics = (
        *(metric(route, "ms") for route in ROUTES),
        metric("chat, the supervisor's processor time", "ms"),
        metric("chat, the runner's processor time", "ms"),
    )

    def measure(self, folder: Path) -> tuple[dict[str, float], float]:
        """Route by route."""
        with instant_server(folder / "home") as server:
            return asyncio.run(self._measure(server))

    async def _measure(self, server: Server) -> tuple[dict[str, float], float]:
        connection = await Connection.open(server.url)
        figures: dict[str, float] = {}
        started_s, client_s = time.perf_counter(), time.process_time()
        for route, request in all_requests(server.url).items():
            for _ in range(WARM_UP):
                await connection.ask(request)
            before = ProcessUse.of(server)
            times_s = [await connection.ask(request) for _ in range(REQUESTS)]
            after = ProcessUse.of(server)
            figures[route] = MS * statistics.median(times_s)
            if route == "chat":
                for name, used_s in (
                    ("supervisor", after.supervisor_s - before.supervisor_s),
                    ("runner", after.runner_s - before.runner_s),
                ):
                    figures[f"chat, the {name}'s processor time"] = MS * used_s / REQUESTS
        wall_s = time.perf_counter() - started_s
        client_share = (time.process_time() - client_s) / wall_s
        connection.close()
        return figures, client_share


class Throughput(Load):
    """As many requests as it takes."""

    name = "throughput"
    summary = "16 connections, each with one request of 16 tokens after the other, for 5 s"
    metrics = tuple(
        metric(f"{route}: {what}", unit, more=unit == "1/s")
        for route in ("chat", "chat, stream")
        for what, unit in (
            ("requests/s", "1/s"),
            ("median", "ms"),
            ("p95", "ms"),
            ("supervisor", "cores"),
            ("runner", "cores"),
        )
    )

    def measure(self, folder: Path) -> tuple[dict[str, float], float]:
        """Whole answers, then streams."""
        with instant_server(folder / "home") as server:
            return asyncio.run(self._measure(server))

    async def _measure(self, server: Server) -> tuple[dict[str, float], float]:
        connections = [await Connection.open(server.url) for _ in range(CONNECTIONS)]
        figures: dict[str, float] = {}
        client_share = 0.0
        for route in ("chat", "chat, stream"):
            request = all_requests(server.url)[route]
            await asyncio.gather(*(connection.ask(request) for connection in connections))
            times_s: list[float] = []
            before, started_s, client_s = (
                ProcessUse.of(server),
                time.perf_counter(),
                time.process_time(),
            )
            await asyncio.gather(*(_go_on(each, request, times_s) for each in connections))
            wall_s = time.perf_counter() - started_s
            client_share = max(client_share, (time.process_time() - client_s) / wall_s)
            after = ProcessUse.of(server)
            figures |= {
                f"{route}: requests/s": len(times_s) / wall_s,
                f"{route}: median": MS * statistics.median(times_s),
                f"{route}: p95": MS * statistics.quantiles(times_s, n=20)[-1],
                f"{route}: supervisor": (after.supervisor_s - before.supervisor_s) / wall_s,
                f"{route}: runner": (after.runner_s - before.runner_s) / wall_s,
            }
        for connection in connections:
            connection.close()
        return figures, client_share


async def _go_on(connection: Connection, request: bytes, times_s: list[float]) -> None:
    end_s = time.perf_counter() + THROUGHPUT_S
    while time.perf_counter() < end_s:
        times_s.append(await connection.ask(request))
