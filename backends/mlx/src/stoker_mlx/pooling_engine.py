"""The engine of models that read whole texts for embeddings, many texts per step."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import mlx.core as mx
import numpy as np
import numpy.typing as npt

from stoker.engine import Engine, EngineInfo, PoolingJob, SequenceJob, SequenceOutput
from stoker.errors import (
    LoadError,
    StokerError,
    UnavailableError,
    UnsupportedFeatureError,
)
from stoker.pooling_queue import PoolingQueue
from stoker_mlx.memory import Memory
from stoker_mlx.options import Pooling
from stoker_mlx.tokenizer import Tokenizer

MOST_TEXTS = 64
"""In one step: what arrives waits for its end."""
_BODIES = ("model", "transformer", "backbone")
"""Names that mlx-lm's models give to what computes the vectors of tokens."""


class MlxPoolingEngine(Engine):
    """A model on MLX that makes embeddings.

    Its layers look back only. So texts of different lengths are padded at their ends and computed
    together: what follows a text does not change it.
    """

    def __init__(
        self,
        model: Any,
        tokenizer: Tokenizer,
        info: EngineInfo,
        memory: Memory,
        *,
        pooling: Pooling,
        batch_tokens: int,
    ) -> None:
        """Take over what was loaded; `close` frees it.

        Args:
            model: mlx-lm's model.
            tokenizer: Of the model.
            info: What is told of them.
            memory: To be released at the end.
            pooling: How the vectors of a text's tokens become one.
            batch_tokens: Most tokens of a step, padding included; a longer text is alone in one.

        Raises:
            LoadError: The vectors of the model's tokens cannot be had.
        """
        self._tokenizer = tokenizer
        self._info = info
        self._memory = memory
        self._mean = pooling == "mean"
        self._batch_tokens = batch_tokens
        self._body = _body(model, info.embedding_length)
        self._waiting = PoolingQueue(info)

    @property
    def info(self) -> EngineInfo:
        """What was loaded."""
        return self._info

    @property
    def idle(self) -> bool:
        """Whether a `step` would do nothing."""
        return not self._waiting

    def encode(self, text: str, *, add_special: bool, parse_special: bool) -> list[int]:
        """Turn text into tokens.

        Raises:
            InvalidRequestError: The text is no valid Unicode.
        """
        return self._tokenizer.encode(text, add_special=add_special, parse_special=parse_special)

    def token_bytes(self, token: int) -> bytes:
        """The bytes that a token stands for.

        Raises:
            IndexError: There is no such token.
        """
        return self._tokenizer.token_bytes(token)

    def submit(self, job: SequenceJob) -> None:
        """Refuse: this model was loaded for embeddings.

        Raises:
            UnsupportedFeatureError: Always.
        """
        del job
        raise UnsupportedFeatureError("This model does not generate text.", param="model")

    def submit_pooling(self, job: PoolingJob) -> None:
        """Queue a text.

        Raises:
            InvalidRequestError: It has tokens that do not exist, or too many; or it is for a mode
                that the model does not have.
        """
        self._waiting.add(job)

    def cancel(self, sequence_id: int) -> None:
        """Forget a text that no step has computed yet."""
        self._waiting.cancel(sequence_id)

    def step(self) -> Sequence[SequenceOutput]:
        """Compute the next texts."""
        jobs = self._next()
        if not jobs:
            return []
        try:
            vectors = self._vectors([job.tokens for job in jobs])
        except (RuntimeError, ValueError) as exc:
            error = UnavailableError(f"MLX could not read a batch of texts: {exc}.")
            return [SequenceOutput(job.id, error=error) for job in jobs]
        return [_output(job, vector) for job, vector in zip(jobs, vectors, strict=True)]

    def close(self) -> None:
        """Free everything."""
        del self._body
        self._memory.release()

    def _vectors(self, texts: Sequence[tuple[int, ...]]) -> npt.NDArray[np.float32]:
        longest = max(map(len, texts))
        padded = mx.array([[*text, *[0] * (longest - len(text))] for text in texts])
        lengths = mx.array([len(text) for text in texts])[:, None, None]
        hidden = self._body(padded).astype(mx.float32)
        if self._mean:
            places = mx.arange(longest)[None, :, None]
            pooled = mx.where(places < lengths, hidden, 0).sum(axis=1) / lengths[:, 0]
        else:
            pooled = mx.take_along_axis(hidden, lengths - 1, axis=1)[:, 0]
        return np.array(pooled)

    def _next(self) -> list[PoolingJob]:
        """Take the texts of the next batch, which are padded to the longest."""

        def fits(jobs: Sequence[PoolingJob]) -> bool:
            return max(len(job.tokens) for job in jobs) * len(jobs) <= self._batch_tokens

        return self._waiting.take(MOST_TEXTS, fits)


def _body(model: Any, width: int | None) -> Any:
    """The part of a model that gives its tokens' vectors.

    Raises:
        LoadError: There is none that is known.
    """
    for name in _BODIES:
        body = getattr(model, name, None)
        if body is None:
            continue
        try:
            shape = body(mx.zeros((1, 1), dtype=mx.int32)).shape
        except (TypeError, ValueError, AttributeError):
            continue
        if shape == (1, 1, width):
            return body
    raise LoadError("mlx-lm does not tell the vectors of this model's tokens: it cannot embed.")


def _output(job: PoolingJob, vector: npt.NDArray[np.float32]) -> SequenceOutput:
    if not np.isfinite(vector).all():
        error = StokerError("The model computed numbers that are no numbers for this text.")
        return SequenceOutput(job.id, error=error)
    return SequenceOutput(job.id, embedding=vector.astype("<f4").tobytes())
