"""What constraints cost: answers of a form beside free ones, and the tokenizer that they need.

Run by name: `make bench NAME=constraints`, or with `ARGS=path/to/other.gguf`. Drives the engine and
the text pipeline in this process. Three things are measured:

- tokens per second of eight sequences, free and of two forms, in turn;
- how long a constrained request waits right after loading, beside a free one, and later;
- by how much the steps of a running stream are stretched while the tokenizer is built.
"""

from __future__ import annotations

import itertools
import json
import statistics
import sys
import time
from pathlib import Path
from typing import Any

from stoker.artifact import BundleFile, ModelBundle
from stoker.constraints.compiler import ConstraintCompiler
from stoker.digest import Digest
from stoker.engine import SequenceJob
from stoker.events import Failed, Finished, TextDelta
from stoker.media_types import GGUF, Role
from stoker.reference import Reference
from stoker.request import Constraint, ConstraintKind, GenerateRequest, TextPrompt
from stoker.sampling import DEFAULT_SAMPLING, SamplingParams
from stoker.text.session import Session, open_session
from stoker_llama_cpp import plugin
from stoker_llama_cpp.options import LlamaCppOptions

STREAMS = 8
TOKENS = 96
ROUNDS = 5
PROMPT = "Here is a description of a person as JSON.\n\n"
_TEXT = {"type": "string", "maxLength": 60}
SCHEMAS = {
    "many fields": {
        "type": "object",
        "properties": {
            "name": _TEXT,
            "occupation": _TEXT,
            "city": _TEXT,
            "biography": {"type": "string", "maxLength": 300},
            "age": {"type": "integer", "minimum": 0, "maximum": 120},
            "tags": {"type": "array", "items": _TEXT, "minItems": 2, "maxItems": 6},
        },
        "required": ["name", "occupation", "city", "biography", "age", "tags"],
        "additionalProperties": False,
    },
    "one long text": {
        "type": "object",
        "properties": {"text": {"type": "string", "minLength": 1500}},
        "required": ["text"],
        "additionalProperties": False,
    },
}


def _load(path: Path) -> tuple[Any, ModelBundle]:
    bundle = ModelBundle(
        reference=Reference.parse("ai/measured"),
        digest=Digest("sha256", "0" * 64),
        files=(BundleFile(path, Role.WEIGHTS, GGUF),),
    )
    options = LlamaCppOptions(context_length=2048, cache_tokens=8192, max_sequences=STREAMS)
    return plugin.load(bundle, options, lambda _stage, _fraction: None), bundle


def _constraint(name: str) -> Constraint:
    return Constraint(ConstraintKind.JSON_SCHEMA, json.dumps(SCHEMAS[name]))


def _rate(engine: Any, ids: Any, constraints: list[Any], temperature: float, seed: int) -> float:
    """Tokens per second while all sequences answer."""
    prompt = tuple(engine.encode(PROMPT, add_special=True, parse_special=False))
    for number, constraint in enumerate(constraints):
        sampling = SamplingParams(temperature=temperature, seed=seed + number)
        engine.submit(
            SequenceJob(
                id=next(ids),
                prompt=prompt,
                sampling=sampling.over(DEFAULT_SAMPLING),
                max_tokens=TOKENS,
                ignore_end=constraint is None,
                constraint=constraint,
            )
        )
    while not any(output.tokens for output in engine.step()):
        pass
    tokens, ended, started_s = 0, False, time.perf_counter()
    while not ended:
        for output in engine.step():
            tokens += len(output.tokens)
            ended = ended or output.finish is not None
    duration_s = time.perf_counter() - started_s
    while not engine.idle:
        engine.step()
    return tokens / duration_s


def _streams(path: Path) -> None:
    engine, _ = _load(path)
    compiler = ConstraintCompiler(engine)
    grammars = {name: compiler.compile(_constraint(name)).result(60) for name in SCHEMAS}
    ids = itertools.count(1)
    for temperature in (0.0, 1.0):
        rates: dict[str, list[float]] = {name: [] for name in ("free", *SCHEMAS)}
        for number in range(ROUNDS + 1):
            for name, row in rates.items():
                made = grammars.get(name)
                constraints = [made.begin("c") if made else None for _ in range(STREAMS)]
                rate = _rate(engine, ids, constraints, temperature, number * 100)
                # The first round is for warming up.
                if number:
                    row.append(rate)
        for name, row in rates.items():
            ratios = [rate / free for rate, free in zip(row, rates["free"], strict=True)]
            print(
                f"temperature {temperature:g}, {name}: {statistics.median(row):.0f} tokens/s,"
                f" {statistics.median(ratios):.2f} of free",
                flush=True,
            )
    compiler.close()
    engine.close()


def _first_text_s(session: Session, request_id: int, constraint: Constraint | None) -> float:
    started_s = time.perf_counter()
    prompt = TextPrompt(f"{request_id} {PROMPT}")
    request = GenerateRequest("m", prompt, max_tokens=8, constraint=constraint)
    session.submit(request_id, request)
    first_s = 0.0
    while True:
        for _, event in session.step():
            if isinstance(event, Failed):
                raise event.error
            if isinstance(event, TextDelta) and not first_s:
                first_s = time.perf_counter() - started_s
            if isinstance(event, Finished):
                return first_s


def _first_request(path: Path) -> None:
    plain: list[float] = []
    constrained: list[float] = []
    later: list[float] = []
    for _ in range(ROUNDS):
        for row, constraint in ((plain, None), (constrained, _constraint("many fields"))):
            session = open_session(*_load(path))
            row.append(_first_text_s(session, 1, constraint))
            if constraint is not None:
                for number in range(2, 8):
                    # A grammar that was not compiled yet, and the same prompt without one.
                    new = Constraint(ConstraintKind.JSON_SCHEMA, json.dumps({"enum": [number, 0]}))
                    free_s = _first_text_s(session, number * 2, None)
                    later.append(_first_text_s(session, number * 2 + 1, new) - free_s)
            session.close()
    print(
        f"right after loading: a constrained request's first text comes"
        f" {(statistics.median(constrained) - statistics.median(plain)) * 1000:.0f} ms after that"
        f" of a free one; later {statistics.median(later) * 1000:.1f} ms",
        flush=True,
    )


def _stretch(path: Path) -> None:
    engine, _ = _load(path)
    prompt = tuple(engine.encode(PROMPT, add_special=True, parse_special=False))
    sampling = SamplingParams(temperature=0.0).over(DEFAULT_SAMPLING)
    engine.submit(SequenceJob(1, prompt, sampling, max_tokens=1500, ignore_end=True))
    alone, beside = [], []
    for _ in range(60):
        started_s = time.perf_counter()
        engine.step()
        alone.append(time.perf_counter() - started_s)
    compiler = ConstraintCompiler(engine)
    built_from_s = time.perf_counter()
    future = compiler.compile(Constraint(ConstraintKind.JSON_OBJECT))
    while not future.done() and not engine.idle:
        started_s = time.perf_counter()
        engine.step()
        beside.append(time.perf_counter() - started_s)
    built_s = time.perf_counter() - built_from_s
    future.result(60)
    compiler.close()
    engine.close()
    print(
        f"building took {built_s:.2f} s beside a stream, whose steps took"
        f" {statistics.median(beside) * 1000:.1f} ms (longest {max(beside) * 1000:.0f}) instead of"
        f" {statistics.median(alone) * 1000:.1f} ms",
        flush=True,
    )


def main() -> None:
    """Measure with one model."""
    standard = Path(".cache/models/SmolLM2-135M-Instruct.Q4_1.gguf")
    path = Path(sys.argv[1]) if len(sys.argv) > 1 else standard
    _streams(path)
    _first_request(path)
    _stretch(path)


if __name__ == "__main__":
    main()
