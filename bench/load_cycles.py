"""1,000 rounds of loading a tiny model, asking it once and unloading it: nothing may grow.

Run by name: `make bench NAME=load_cycles`, or with another number of rounds: `ARGS=200`. Ends with
1 when an answer was wrong, or the server's descriptors, threads, processes or memory grew after
the first tenth.
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
from pathlib import Path

import httpx
import psutil
from soaking import TEXTS, Resources, make_home, tell
from stoker_process import Server

from stoker.control.client import ControlClient

ROUNDS = 1000
PARTS = 10


async def _cycle(server: Server, rounds: int) -> list[str]:
    """Run the rounds; gives what went wrong."""
    name, text = next(iter(TEXTS.items()))
    process = psutil.Process(server.process.pid)
    control = ControlClient(server.home.path)
    wrong: list[str] = []
    early: Resources | None = None
    async with httpx.AsyncClient(base_url=server.url, timeout=60) as client:
        for number in range(1, rounds + 1):
            answer = await client.post("/v1/completions", json={"model": name, "prompt": ""})
            found = answer.json()["choices"][0]["text"].strip() if answer.is_success else ""
            if found != text:
                wrong.append(f"round {number}: {answer.text[:200]}")
            if not await control.unload(name):
                wrong.append(f"round {number}: it was not loaded")
            if number % max(rounds // PARTS, 1) == 0:
                now = Resources.of(process)
                print(f"after {number:5} rounds: {now}", flush=True)
                early = early or now
    return wrong + (Resources.of(process).growth(early) if early else [])


def main() -> int:
    """Run, and tell."""
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else ROUNDS
    with tempfile.TemporaryDirectory() as folder, make_home(Path(folder)).serve() as server:
        problems = asyncio.run(_cycle(server, rounds))
    return tell(problems)


if __name__ == "__main__":
    sys.exit(main())
