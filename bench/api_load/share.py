"""What of the machine stoker takes itself while an engine works."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import msgspec
from comparison.model import BenchModel
from comparison.prose import beginning
from comparison.results import cores
from stoker_process import Server
from stoker_timed import VARIABLE, Times

from api_load.connection import Connection, post
from api_load.toy_server import ProcessUse, bench_home
from api_load.workload import CHAT_PATH, Load, metric

STREAMS = 16
TOKENS = 128


class Share(Load):
    """Sixteen streams of a real model."""

    name = "share"
    summary = "16 streams of 128 tokens at once: what is not the engine's, of all cores"
    model = "smollm2"
    metrics = (
        metric("supervisor", "%"),
        metric("text pipeline in the runner", "%"),
        metric("both", "%"),
        metric("tokens/s", "1/s", more=True),
    )

    def measure(self, folder: Path) -> tuple[dict[str, float], float]:
        """Streams, with a clock around the engine's steps."""
        times = folder / "times.json"
        model = BenchModel("smollm2")
        home = bench_home(
            folder / "home",
            {VARIABLE: str(times)},
            f'[models."{model.reference}"]\nbackend = "timed"\n'
            f"[backends.timed]\nthreads = {cores()}\nmax_sequences = {STREAMS}\n"
            f"context_length = 1024\ncache_tokens = {STREAMS * 1024}\n",
        )
        home.ok("package", model.reference, "--weights", str(model.path))
        with home.serve() as server:
            wall_s, supervisor_s, client_s = asyncio.run(self._ask(server, model.reference))
        # The engine wrote it when it was closed.
        pipeline_s = msgspec.json.decode(times.read_bytes(), type=Times).pipeline_s
        all_s = wall_s * cores()
        shares = 100 * supervisor_s / all_s, 100 * pipeline_s / all_s
        figures = {
            "supervisor": shares[0],
            "text pipeline in the runner": shares[1],
            "both": sum(shares),
            "tokens/s": STREAMS * TOKENS / wall_s,
        }
        return figures, client_s / wall_s

    async def _ask(self, server: Server, name: str) -> tuple[float, float, float]:
        body = {"model": name, "max_tokens": TOKENS, "temperature": 0, "stream": True}
        bodies = [
            body
            | {
                "messages": [{"role": "user", "content": beginning(stream, 1)}],
                "ignore_eos": True,
            }
            for stream in range(STREAMS)
        ]
        # It loads the model. What its few tokens take is counted with the pipeline.
        warm_up = post(server.url, CHAT_PATH, bodies[0] | {"max_tokens": 1})
        await (await Connection.open(server.url)).ask(warm_up)
        connections = [await Connection.open(server.url) for _ in bodies]
        before, started_s, client_s = (
            ProcessUse.of(server),
            time.perf_counter(),
            time.process_time(),
        )
        await asyncio.gather(
            *(
                connection.ask(post(server.url, CHAT_PATH, each))
                for connection, each in zip(connections, bodies, strict=True)
            )
        )
        wall_s = time.perf_counter() - started_s
        client_s = time.process_time() - client_s
        return wall_s, ProcessUse.of(server).supervisor_s - before.supervisor_s, client_s
