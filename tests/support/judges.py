"""Judges of greedy answers: a model in this process that computes them again, on each engine."""

from __future__ import annotations

import abc
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import tiny_mlx

from stoker_llama_cpp import binding
from stoker_llama_cpp.options import LlamaCppOptions


class Judge(abc.ABC):
    """A model that is known here as well as by a server."""

    near_tie: float
    """How far a right token may be from the best one, in another shape of a batch."""
    banned: Sequence[int] = ()
    """Tokens that answers must not have, because they have no text by which to know them."""
    tokens: Mapping[bytes, int]
    """By what they stand for."""

    @abc.abstractmethod
    def encode(self, text: str) -> Sequence[int]:
        """The tokens of a prompt."""

    @abc.abstractmethod
    def worst(self, prompt: Sequence[int], answer: Sequence[int]) -> float:
        """How far the worst token of an answer is from the best one in its place."""

    def close(self) -> None:  # noqa: B027 - some have nothing to free
        """Free the model."""


class LlamaCppJudge(Judge):
    """For a GGUF file."""

    def __init__(self, file: Path) -> None:
        """Load it."""
        # Before llama.cpp is imported: what this sets for OpenMP is read but once.
        binding.load()
        import scoring  # noqa: PLC0415 - imports llama.cpp

        from stoker_llama_cpp.model import load_model  # noqa: PLC0415 - as well

        self._scoring = scoring
        self.near_tie = scoring.NEAR_TIE
        self._model = load_model([file], LlamaCppOptions(threads=1), lambda *_: None)
        pieces = self._model.vocabulary.whole().token_bytes
        self.tokens = {piece: token for token, piece in enumerate(pieces) if piece}

    def encode(self, text: str) -> Sequence[int]:
        """The tokens of a prompt."""
        return self._model.vocabulary.encode(text, add_special=True, parse_special=False)

    def worst(self, prompt: Sequence[int], answer: Sequence[int]) -> float:
        """How far the worst token is from the best one."""
        return max(self._scoring.margins(self._model.handle, tuple(prompt), list(answer)))

    def close(self) -> None:
        """Free the model."""
        self._model.close()


class MlxJudge(Judge):
    """For the folder of a tiny model."""

    def __init__(self, folder: Path) -> None:
        """Load it."""
        import mlx_reference  # noqa: PLC0415 - imports MLX

        from stoker_mlx.model_files import ModelFiles  # noqa: PLC0415 - for this judge alone
        from stoker_mlx.tokenizer import Tokenizer  # noqa: PLC0415 - as well

        self.near_tie = mlx_reference.MARGIN
        self._reference = mlx_reference.Reference(folder)
        size = json.loads((folder / "config.json").read_text())["vocab_size"]
        self._tokenizer = Tokenizer(ModelFiles.of(tiny_mlx.bundle_of(folder)), size=size)
        pieces = self._tokenizer.whole().token_bytes
        self.tokens = {piece: token for token, piece in enumerate(pieces) if piece}
        self.banned = [token for token, piece in enumerate(pieces) if not piece]

    def encode(self, text: str) -> Sequence[int]:
        """The tokens of a prompt."""
        return self._tokenizer.encode(text, add_special=True, parse_special=False)

    def worst(self, prompt: Sequence[int], answer: Sequence[int]) -> float:
        """How far the worst token is from the best one."""
        return self._reference.shortfall(prompt, answer, self.banned)
