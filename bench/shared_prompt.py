"""Eight users whose prompts begin with the same 500 words: time to the first token.

Run by name: `make bench NAME=shared_prompt`. One user comes first, which is cold; then eight at
once, which are warm. The same is measured with the prefix cache switched off, in turn. Needs the
model that `make test` fetches.
"""

from __future__ import annotations

import asyncio
import statistics
import tempfile
from pathlib import Path

from lean_client import read_stream
from stoker_process import MODEL, ROOT, Home

WORDS = ["rain", "sun", "hill", "road", "bread", "water", "stone", "light", "wind", "door"]
USERS = 8
ROUNDS = 3
TOKENS = 4


def _prompt(number: int, user: int) -> str:
    shared = " ".join(WORDS[(place * 7 + number) % len(WORDS)] for place in range(500))
    return f"Round {number}. {shared}. Question {user}: what comes next?"


async def _round(url: str, number: int) -> tuple[float, float]:
    cold = await read_stream(url, _prompt(number, 0), max_tokens=TOKENS)
    warm = await asyncio.gather(
        *(read_stream(url, _prompt(number, user + 1), max_tokens=TOKENS) for user in range(USERS))
    )
    return cold.first_s, statistics.median(reading.first_s for reading in warm)


def main() -> None:
    """Package the model, serve it with and without the cache in turn, measure."""
    weights = ROOT / ".cache" / "models" / "SmolLM2-135M-Instruct.Q4_1.gguf"
    for kept in (True, False):
        with tempfile.TemporaryDirectory() as folder:
            option = {"STOKER_BACKENDS__LLAMA_CPP__PREFIX_CACHE": str(kept).lower()}
            home = Home(Path(folder), option)
            home.ok("package", MODEL, "--weights", str(weights))
            with home.serve() as server:
                asyncio.run(_round(server.url, -1))
                for number in range(ROUNDS):
                    cold_s, warm_s = asyncio.run(_round(server.url, number))
                    print(
                        f"prefix cache {'on' if kept else 'off'}: alone {cold_s:.2f} s,"
                        f" then {USERS} at once, median {warm_s:.2f} s",
                        flush=True,
                    )


if __name__ == "__main__":
    main()
