"""Whether the tokens of a greedy answer of MLX are the best ones, by computing everything again."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import mlx.core as mx
import numpy as np
import numpy.typing as npt
import tiny_mlx

from stoker_mlx.caches import new_caches
from stoker_mlx.model import read_model
from stoker_mlx.model_files import ModelFiles

MARGIN = 1e-3
"""How far the logits of a tiny model's token are apart at most, over all shapes of batches."""


class Reference:
    """A tiny model that computes everything anew and at once."""

    def __init__(self, folder: Path, **cache: Any) -> None:
        """Read it.

        Args:
            folder: The model's.
            **cache: Of what kind its caches are.
        """
        self._model = read_model(ModelFiles.of(tiny_mlx.bundle_of(folder)))
        self._cache = cache

    def logits(self, tokens: Sequence[int]) -> npt.NDArray[np.float32]:
        """(tokens, vocabulary): what comes after each token."""
        caches = new_caches(self._model, **self._cache)
        return np.array(self._model(mx.array([list(tokens)]), cache=caches)[0])

    def shortfall(
        self, prompt: Sequence[int], tokens: Sequence[int], banned: Sequence[int] = ()
    ) -> float:
        """How far the logits of an answer's tokens are below the best ones, at most.

        Args:
            prompt: Before the answer.
            tokens: The answer.
            banned: Tokens that could not be taken.
        """
        logits = self.logits([*prompt, *tokens])[len(prompt) - 1 : -1]
        logits[:, list(banned)] = -np.inf
        return float(max(logits.max(axis=1) - logits[range(len(tokens)), list(tokens)]))
