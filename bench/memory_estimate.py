"""The estimate of a model's memory against what its runner takes: models x contexts x KV types.

Run by name: `make bench NAME=memory_estimate`, with further GGUF files, or folders for MLX, as
arguments (`ARGS="a.gguf folder"`); `ARGS="mlx"` is SmolLM2 as such a folder alone. For each
combination a runner is started and asked to read as many tokens as its context holds; then, when it
does not change any more, its resident memory is compared with the estimate that was made before
anything was loaded. Contexts above `FULL_TOKENS` are asked for `FEW_TOKENS` only, because reading
them takes minutes: their buffers are not all touched.
"""

from __future__ import annotations

import asyncio
import os
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import attrs
import psutil
from gguf_to_mlx import convert
from stoker_process import ROOT, Home

from stoker.application import Application, LoadPlan
from stoker.config.sources import Flag
from stoker.events import Failed
from stoker.request import GenerateRequest, TokenPrompt
from stoker.sampling import SamplingParams
from stoker.supervisor.runner import Runner

MIB = 1024 * 1024
FULL_TOKENS = 2048
FEW_TOKENS = 64
STILL_S = 6.0
MOST_S = 40.0
LOAD_TIMEOUT_S = 120.0
ANSWER_TOKENS = 4


SMOLLM2 = ROOT / ".cache" / "models" / "SmolLM2-135M-Instruct.Q4_1.gguf"


@attrs.frozen
class Backend:
    """How models of one backend are measured."""

    name: str
    package: str
    """The flag of `stoker package` for a model of its kind."""
    contexts: tuple[int, ...]
    cache_types: Mapping[str, Mapping[str, Any]]
    """Options by the name of a type of numbers in the KV cache."""
    no_prefixes: Mapping[str, Any]
    """What is kept of prompts would come on top, up to the reserve: options that keep nothing."""

    def flags(self, context_length: int, cache_type: str) -> list[Flag]:
        """Settings of one combination."""
        options = {
            "context_length": context_length,
            **self.cache_types[cache_type],
            **self.no_prefixes,
        }
        return [Flag("bench", ("backends", self.name, key), item) for key, item in options.items()]


LLAMA_CPP = Backend(
    "llama.cpp",
    "--weights",
    (512, 2048, 8192),
    {name: {"cache_type_k": name, "cache_type_v": name} for name in ("f16", "q8_0", "q4_0")},
    {"prefix_ram_bytes": 0},
)
# On a processor MLX reads a few tokens a second.
MLX = Backend(
    "mlx",
    "--directory",
    (256, 512),
    {"own": {}, "8 bits": {"kv_bits": 8}},
    {"prefix_cache_bytes": 0, "max_sequences": 1},
)


def _ignore(stage: str, fraction: float | None) -> None:
    """Nobody watches."""


async def _read(runner: Runner, model: str, count: int) -> None:
    tokens = tuple(100 + number * 7919 % 1000 for number in range(count - ANSWER_TOKENS))
    request = GenerateRequest(
        model,
        TokenPrompt(tokens),
        sampling=SamplingParams(temperature=0.0),
        max_tokens=ANSWER_TOKENS,
        ignore_end=True,
    )
    async for event in runner.answer(request):
        if isinstance(event, Failed):
            raise event.error


async def _settled(pid: int) -> int:
    """Resident bytes, when they have stopped to change: masks are prepared in the background."""
    process = psutil.Process(pid)
    deadline_s = time.monotonic() + MOST_S
    found: int = process.memory_info().rss
    since_s = time.monotonic()
    while time.monotonic() < min(since_s + STILL_S, deadline_s):
        await asyncio.sleep(0.2)
        now: int = process.memory_info().rss
        if abs(now - found) > MIB:
            found, since_s = now, time.monotonic()
    return found


async def _measure(plan: LoadPlan) -> tuple[int, int, str]:
    """What the runner takes, what the engine says that it set aside, and how it was measured."""
    runner = await Runner.start(plan, timeout_s=LOAD_TIMEOUT_S, report=_ignore)
    try:
        length = plan.memory.context_length or 0
        count = length if length <= FULL_TOKENS else FEW_TOKENS
        await _read(runner, str(plan.artifact.reference), count)
        taken = await _settled(runner.pid)
        told = runner.info.memory_bytes if runner.info else None
        return taken, told or 0, f"{count} tokens read"
    finally:
        await runner.close()


def _models(arguments: list[str], scratch: Path) -> list[Path]:
    """The files and folders to measure."""
    if arguments == ["mlx"]:
        folder = scratch / "smollm2-mlx"
        convert(SMOLLM2, folder)
        return [folder]
    return [SMOLLM2, *map(Path, arguments)]


def _row(home: Home, name: str, backend: Backend, context_length: int, cache_type: str) -> str:
    """Measure one combination."""
    environ = os.environ | {"STOKER_HOME": str(home.path)}
    flags = backend.flags(context_length, cache_type)
    application = Application.create(flags=flags, environ=environ)
    plan = application.plan(application.stores.resolve(name))
    (need,) = plan.memory.needs
    expected = need.total_bytes
    taken, told, state = asyncio.run(_measure(plan))
    cells = (
        name,
        str(context_length),
        cache_type,
        _mib(expected),
        _mib(taken),
        f"{100 * (expected / taken - 1):+.1f} %",
        state,
        _mib(expected - need.process_bytes),
        _mib(told),
    )
    return f"| {' | '.join(cells)} |"


def main() -> None:
    """Package the models into a home of its own, and print the table."""
    heads = ("model", "context", "KV type", "estimate", "resident", "error", "state")
    print("|", " | ".join((*heads, "without the process", "told by the engine")), "|")
    print("|---" * (len(heads) + 2) + "|")
    with tempfile.TemporaryDirectory() as folder, tempfile.TemporaryDirectory() as scratch:
        home = Home(Path(folder))
        for path in _models(sys.argv[1:], Path(scratch)):
            backend = MLX if path.is_dir() else LLAMA_CPP
            name = f"bench/{path.stem.lower()}"
            home.ok("package", name, backend.package, str(path))
            for context_length in backend.contexts:
                for cache_type in backend.cache_types:
                    print(_row(home, name, backend, context_length, cache_type), flush=True)


def _mib(size_bytes: int) -> str:
    return f"{size_bytes / MIB:.0f} MiB"


if __name__ == "__main__":
    main()
