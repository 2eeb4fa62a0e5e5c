"""A prompt of 4,000 tokens: time to the first token from nothing, from memory and from files.

Run by name: `make bench NAME=prefix_tiers`. Also how much slower a lone answer is while the KV
cache holds other prompts, by how many of them may stay there. Needs the model that `make test`
fetches. The engine runs in this process, so nothing of HTTP is measured.
"""

from __future__ import annotations

import itertools
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from stoker_process import ROOT

from stoker.artifact import BundleFile, ModelBundle
from stoker.digest import Digest
from stoker.engine import SequenceJob
from stoker.media_types import GGUF, Role
from stoker.reference import Reference
from stoker.sampling import DEFAULT_SAMPLING, SamplingParams
from stoker_llama_cpp import plugin
from stoker_llama_cpp.options import LlamaCppOptions

WEIGHTS = ROOT / ".cache" / "models" / "SmolLM2-135M-Instruct.Q4_1.gguf"
PROMPT_TOKENS = 4000
OTHER_TOKENS = 3000
ANSWER_TOKENS = 48
ROUNDS = 3
KEPT = (0, 512, 4096)
SAMPLING = SamplingParams(temperature=0.0).over(DEFAULT_SAMPLING)


def _open(**options: Any) -> Any:
    bundle = ModelBundle(
        reference=Reference.parse("ai/smollm2"),
        digest=Digest("sha256", "0" * 64),
        files=(BundleFile(WEIGHTS, Role.WEIGHTS, GGUF),),
    )
    wanted = LlamaCppOptions(**{"context_length": 8192, **options})
    return plugin.load(bundle, wanted, lambda *_: None)


def _prompt(first: int, length: int) -> tuple[int, ...]:
    return tuple(1000 + (first * 977 + place * 7919) % 40_000 for place in range(length))


def _answer(engine: Any, prompt: tuple[int, ...], tokens: int) -> tuple[float, float, int]:
    """Time to the first token, time of each later one (the median), and what was cached."""
    job = SequenceJob(id=0, prompt=prompt, sampling=SAMPLING, max_tokens=tokens, ignore_end=True)
    started_s = time.perf_counter()
    engine.submit(job)
    times_s: list[float] = []
    cached = 0
    while len(times_s) < tokens:
        for output in engine.step():
            cached += output.cached
            times_s += [time.perf_counter()] * len(output.tokens)
    steps_s = [later - earlier for earlier, later in itertools.pairwise(times_s)]
    return times_s[0] - started_s, statistics.median(steps_s or [0]), cached


def _tidy(engine: Any) -> float:
    """Let the engine do what it does when idle; returns the time of the longest step."""
    longest_s = 0.0
    while not engine.idle:
        started_s = time.perf_counter()
        engine.step()
        longest_s = max(longest_s, time.perf_counter() - started_s)
    return longest_s


def _restart() -> None:
    """Cold, from memory, from files after a restart."""
    prompt, question = _prompt(1, PROMPT_TOKENS), (5, 6, 7)
    engine = _open(prefix_disk_bytes=2**30)
    _answer(engine, _prompt(2, 64), 4)
    cold_s, _, cached = _answer(engine, prompt + question, 4)
    print(f"cold: {cold_s:.2f} s, cached {cached}; longest idle step {_tidy(engine):.3f} s")
    for number in range(ROUNDS):
        _answer(engine, _prompt(10 + number, 300), 4)
        _tidy(engine)
        warm_s, _, cached = _answer(engine, (*prompt, 8, 9, number), 4)
        print(f"from memory: {warm_s:.3f} s, cached {cached}")
        _tidy(engine)
    started_s = time.perf_counter()
    engine.close()
    print(f"close: {time.perf_counter() - started_s:.2f} s")
    for number in range(ROUNDS):
        engine = _open(prefix_disk_bytes=2**30)
        disk_s, _, cached = _answer(engine, (*prompt, 11, 12, number), 4)
        print(f"from files after a restart: {disk_s:.3f} s, cached {cached}", flush=True)
        engine.close()


def _lone() -> None:
    """A lone answer while others' prompts are kept, against one on a fresh engine, in turn."""
    engines = {kept: _open(kept_tokens=kept, prefix_cache=True, speculation=False) for kept in KEPT}
    fresh = _open(prefix_cache=False, speculation=False)
    for engine in engines.values():
        _answer(engine, _prompt(3, OTHER_TOKENS), 2)
        _tidy(engine)
    for number in range(ROUNDS):
        first_s, base_s, _ = _answer(fresh, _prompt(20 + number, 64), ANSWER_TOKENS)
        for kept, engine in engines.items():
            warm_first_s, token_s, _ = _answer(engine, _prompt(20 + number, 64), ANSWER_TOKENS)
            _tidy(engine)
            print(
                f"kept {kept}: token {token_s / base_s:.3f} of {1000 * base_s:.1f} ms,"
                f" first token {warm_first_s / first_s:.3f} of {first_s:.3f} s",
                flush=True,
            )


def main() -> None:
    """Measure both, or the one that is named."""
    with tempfile.TemporaryDirectory() as home:
        os.environ["STOKER_HOME"] = str(Path(home))
        for measure in (_restart, _lone):
            if sys.argv[1:] in ([], [measure.__name__.strip("_")]):
                measure()


if __name__ == "__main__":
    main()
