"""What drawing a token takes: stoker's sampler, llama.cpp's, and one inside llama.cpp's graph.

Run by name: `make bench NAME=sampling ARGS="model.gguf ..."`; without files it takes the tests'
model. Each model generates some text with each sampler in turn, token by token, and prints the
medians: of drawing alone, and of computing and drawing, as ratios to stoker's.
"""

from __future__ import annotations

import argparse
import ctypes
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from llama_cpp import llama_cpp as native
from stoker_process import ROOT

from stoker.logits.sampler import Sampler
from stoker.sampling import DEFAULT_SAMPLING, SamplingParams

DEFAULT_MODEL = ROOT / ".cache" / "models" / "SmolLM2-135M-Instruct.Q4_1.gguf"
PROMPT = b"The history of the lighthouse begins with"
PARAMS = {
    "defaults": SamplingParams(seed=1).over(DEFAULT_SAMPLING),
    "top-p 0.9": SamplingParams(seed=1, top_k=0, top_p=0.9, min_p=0).over(DEFAULT_SAMPLING),
    "min-p 0.05": SamplingParams(seed=1, top_k=0, top_p=1, min_p=0.05).over(DEFAULT_SAMPLING),
    "temperature": SamplingParams(seed=1, top_k=0, top_p=1, min_p=0).over(DEFAULT_SAMPLING),
}
TOKENS = 48
ROUNDS = 5

Draw = Callable[[], int]


class Generation:
    """A model on a processor, and a text that it goes on with."""

    def __init__(self, file: Path, threads: int) -> None:
        self._model: Any = native.llama_model_load_from_file(
            str(file).encode(), native.llama_model_default_params()
        )
        self.vocabulary: Any = native.llama_model_get_vocab(self._model)
        self.size = int(native.llama_vocab_n_tokens(self.vocabulary))
        params = native.llama_context_default_params()
        params.n_ctx, params.n_threads, params.n_threads_batch = 512, threads, threads
        self.context: Any = native.llama_init_from_model(self._model, params)
        tokens, special = (ctypes.c_int32 * 64)(), True
        count = native.llama_tokenize(
            self.vocabulary, PROMPT, len(PROMPT), tokens, len(tokens), special, special
        )
        self._logits: np.ndarray[Any, np.dtype[np.float32]] | None = None
        self._prompt = (ctypes.c_int32 * count)(*tokens[:count])

    def logits(self) -> np.ndarray[Any, np.dtype[np.float32]]:
        """Those of the last token, in llama.cpp's own memory, which stays there during a run."""
        if self._logits is None:
            row = native.llama_get_logits_ith(self.context, -1)
            self._logits = np.ctypeslib.as_array(row, shape=(self.size,))
        return self._logits

    def run(self, draw: Draw) -> tuple[list[float], list[float]]:
        """Generate; gives what drawing took, and computing and drawing, in seconds."""
        self._logits = None
        native.llama_memory_clear(native.llama_get_memory(self.context), True)  # noqa: FBT003
        native.llama_decode(
            self.context, native.llama_batch_get_one(self._prompt, len(self._prompt))
        )
        token = (ctypes.c_int32 * 1)(draw())
        drawing_s, all_s = [], []
        for _ in range(TOKENS):
            started_s = time.perf_counter()
            native.llama_decode(self.context, native.llama_batch_get_one(token, 1))
            # It may still compute; the wait is not the sampler's.
            native.llama_synchronize(self.context)
            computed_s = time.perf_counter()
            token[0] = draw()
            ended_s = time.perf_counter()
            drawing_s.append(ended_s - computed_s)
            all_s.append(ended_s - started_s)
        return drawing_s, all_s

    def close(self) -> None:
        """Free everything."""
        native.llama_free(self.context)
        native.llama_model_free(self._model)


def chain(params: SamplingParams) -> Any:
    """llama.cpp's samplers for the same parameters."""
    made: Any = native.llama_sampler_chain_init(native.llama_sampler_chain_default_params())
    if params.top_k:
        native.llama_sampler_chain_add(made, native.llama_sampler_init_top_k(params.top_k))
    native.llama_sampler_chain_add(made, native.llama_sampler_init_temp(params.temperature))
    if params.top_p is not None and params.top_p < 1:
        native.llama_sampler_chain_add(made, native.llama_sampler_init_top_p(params.top_p, 1))
    if params.min_p:
        native.llama_sampler_chain_add(made, native.llama_sampler_init_min_p(params.min_p, 1))
    native.llama_sampler_chain_add(made, native.llama_sampler_init_dist(1))
    return made


def compare(generation: Generation, name: str, params: SamplingParams) -> None:
    """Print a line for one set of parameters."""
    sampler, llama = Sampler(params), chain(params)
    draws: dict[str, Draw] = {
        "stoker": lambda: sampler.sample(generation.logits()),
        "llama.cpp": lambda: native.llama_sampler_sample(llama, generation.context, -1),
        "in the graph": lambda: native.llama_get_sampled_token_ith(generation.context, -1),
    }
    drawing: dict[str, list[float]] = {way: [] for way in draws}
    total: dict[str, list[float]] = {way: [] for way in draws}
    for _ in range(ROUNDS):
        for way, draw in draws.items():
            # A chain can be put into a graph once.
            graph = chain(params) if way == "in the graph" else None
            if graph and not native.llama_set_sampler(generation.context, 0, graph):
                continue
            drawing_s, all_s = generation.run(draw)
            if graph:
                native.llama_set_sampler(generation.context, 0, None)
                native.llama_sampler_free(graph)
            drawing[way] += drawing_s
            total[way] += all_s
    native.llama_sampler_free(llama)
    whole_s = statistics.median(total["stoker"])
    columns = [
        f"{way} {statistics.median(drawing[way]) * 1e6:5.0f} us,"
        f" whole {statistics.median(total[way]) / whole_s:.3f}"
        for way in draws
        if total[way]
    ]
    print(f"  {name:12}", " | ".join(columns), flush=True)


def main() -> None:
    """Measure each model."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("files", nargs="*", type=Path, default=[DEFAULT_MODEL], help="GGUF files")
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    quiet = native.llama_log_callback(lambda *_: None)
    native.llama_log_set(quiet, None)
    for file in options.files:
        generation = Generation(file, options.threads)
        print(f"{file.name}: {generation.size} tokens, {options.threads} threads")
        for name, params in PARAMS.items():
            compare(generation, name, params)
        generation.close()


if __name__ == "__main__":
    main()
