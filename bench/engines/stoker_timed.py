"""The backend `llama.cpp` with a clock: how much of its runner's work is not the engine's.

The loop of a runner has one thread. What that thread computes outside of `step` is the text
pipeline: templates, tokens, text, constraints, and frames to and from the supervisor. When the
engine is closed, both go to the file that `STOKER_BENCH_TIMES` names.
"""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

import stoker
from stoker.artifact import ModelBundle
from stoker.backend import BackendSpec, LoadProgress
from stoker.engine import Engine, SequenceOutput
from stoker.media_types import GGUF
from stoker_llama_cpp import plugin
from stoker_llama_cpp.options import LlamaCppOptions

VARIABLE = "STOKER_BENCH_TIMES"


class Times(msgspec.Struct):
    """Seconds of processor time of the loop's thread, from the first job on."""

    engine_s: float
    """In the engine's `step`."""
    pipeline_s: float
    """All else."""


def load(bundle: ModelBundle, options: Any, progress: LoadProgress) -> Engine:
    engine = plugin.load(bundle, options, progress)
    _watch(engine)
    return engine


def _watch(engine: Any) -> None:
    """Put the clock around an engine's `step`."""
    step, submit, close = engine.step, engine.submit, engine.close
    started_s: list[float] = []
    engine_s = 0.0

    def timed_submit(job: Any) -> None:
        if not started_s:
            started_s.append(time.thread_time())
        submit(job)

    def timed_step() -> Sequence[SequenceOutput]:
        nonlocal engine_s
        begin_s = time.thread_time()
        outputs: Sequence[SequenceOutput] = step()
        engine_s += time.thread_time() - begin_s
        return outputs

    def timed_close() -> None:
        all_s = time.thread_time() - started_s[0] if started_s else 0.0
        times = Times(engine_s, all_s - engine_s)
        Path(os.environ[VARIABLE]).write_bytes(msgspec.json.encode(times))
        close()

    engine.step, engine.submit, engine.close = timed_step, timed_submit, timed_close


@stoker.hookimpl
def stoker_register_backends() -> list[BackendSpec]:
    return [BackendSpec("timed", (GGUF,), load, probe=plugin.probe, options_type=LlamaCppOptions)]
