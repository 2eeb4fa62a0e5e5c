"""The models that peers are compared on."""

from __future__ import annotations

import functools
from pathlib import Path

import attrs
from llama_cpp import llama_cpp as native

# The library would write on standard error, even when all is well.
_SILENCE = native.llama_log_callback(lambda *_: None)
native.llama_log_set(_SILENCE, None)

ROOT = Path(__file__).parents[2]
MODELS_FOLDER = ROOT / ".cache" / "models"
FILES = {
    "smollm2": "SmolLM2-135M-Instruct.Q4_1.gguf",
    "gemma3": "gemma3-270m.Q4_K_M.gguf",
}


@attrs.frozen
class BenchModel:
    """A model's file, and a name for it."""

    name: str

    @property
    def path(self) -> Path:
        """The GGUF file."""
        return MODELS_FOLDER / FILES[self.name]

    @property
    def reference(self) -> str:
        """What requests and stoker's store call it."""
        return f"bench/{self.name}:latest"

    @functools.cached_property
    def end_tokens(self) -> tuple[int, ...]:
        """The tokens that end an answer: some peers have no other way to go on than a bias."""
        params = native.llama_model_default_params()
        params.vocab_only = True
        model = native.llama_model_load_from_file(str(self.path).encode(), params)
        vocabulary = native.llama_model_get_vocab(model)
        count = native.llama_vocab_n_tokens(vocabulary)
        ends = tuple(t for t in range(count) if native.llama_vocab_is_eog(vocabulary, t))
        native.llama_model_free(model)
        return ends
