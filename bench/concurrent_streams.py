"""Four greedy streams at once against the same four in a row, over HTTP and the real model.

Run by name: `make bench NAME=concurrent_streams`. Prints the times and their ratio, pair by pair,
because machines are noisy and single times mean little. Needs the model that `make test` fetches.
"""

from __future__ import annotations

import asyncio
import statistics
import tempfile
import time
from pathlib import Path

from lean_client import read_stream
from stoker_process import MODEL, ROOT, Home

PROMPTS = (
    "Once upon a time there was a fisherman who",
    "The most important thing about a garden is",
    "In the year 2050 the first people on Mars",
    "A good recipe for bread begins with",
)
TOKENS = 64
PAIRS = 7


async def _stream(url: str, prompt: str) -> None:
    await read_stream(url, prompt, max_tokens=TOKENS)


async def _measure(url: str) -> None:
    await asyncio.gather(*(_stream(url, prompt) for prompt in PROMPTS))
    ratios = []
    for _ in range(PAIRS):
        started_s = time.perf_counter()
        for prompt in PROMPTS:
            await _stream(url, prompt)
        serial_s = time.perf_counter() - started_s
        started_s = time.perf_counter()
        await asyncio.gather(*(_stream(url, prompt) for prompt in PROMPTS))
        concurrent_s = time.perf_counter() - started_s
        ratios.append(concurrent_s / serial_s)
        print(
            f"in a row {serial_s:.2f} s ({4 * TOKENS / serial_s:.0f} tokens/s), at once"
            f" {concurrent_s:.2f} s ({4 * TOKENS / concurrent_s:.0f} tokens/s),"
            f" ratio {ratios[-1]:.2f}",
            flush=True,
        )
    print(f"median ratio {statistics.median(ratios):.2f} (the goal is below 0.60)")


def main() -> None:
    """Package the model into a home of its own, serve it, measure."""
    weights = ROOT / ".cache" / "models" / "SmolLM2-135M-Instruct.Q4_1.gguf"
    with tempfile.TemporaryDirectory() as folder:
        home = Home(Path(folder))
        home.ok("package", MODEL, "--weights", str(weights))
        with home.serve() as server:
            asyncio.run(_measure(server.url))


if __name__ == "__main__":
    main()
