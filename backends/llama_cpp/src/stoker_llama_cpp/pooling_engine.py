"""The engine of models that read whole texts: embeddings and scores, many texts per step."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from stoker.engine import Engine, EngineInfo, Mode, PoolingJob, SequenceJob, SequenceOutput
from stoker.errors import StokerError, UnsupportedFeatureError
from stoker.pooling_queue import PoolingQueue
from stoker_llama_cpp.model import Model
from stoker_llama_cpp.pair import PairEncoder
from stoker_llama_cpp.pooling_context import PoolingContext


class LlamaCppPoolingEngine(Engine):
    """A model on llama.cpp that makes embeddings or scores.

    A step computes the texts whose turn it is, as many as fit into a batch, and is done with them.
    """

    def __init__(self, model: Model, context: PoolingContext, info: EngineInfo) -> None:
        """Take over a model and a context; `close` frees them."""
        self._model = model
        self._context = context
        self._info = info
        self._pairs = PairEncoder(model)
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
        return self._model.vocabulary.encode(
            text, add_special=add_special, parse_special=parse_special
        )

    def encode_pair(self, query: str, document: str) -> list[int]:
        """Turn a query and a document into the tokens of one text.

        Raises:
            InvalidRequestError: One is no valid Unicode.
        """
        return self._pairs.encode(query, document)

    def token_bytes(self, token: int) -> bytes:
        """The bytes that a token stands for.

        Raises:
            IndexError: There is no such token.
        """
        return self._model.vocabulary.token_bytes(token)

    def submit(self, job: SequenceJob) -> None:
        """Refuse: this model does not generate.

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
            results = self._context.compute([job.tokens for job in jobs])
        except StokerError as exc:
            return [SequenceOutput(job.id, error=exc) for job in jobs]
        return [self._output(job, result) for job, result in zip(jobs, results, strict=True)]

    def close(self) -> None:
        """Free everything."""
        self._context.close()
        self._model.close()

    def _next(self) -> list[PoolingJob]:
        """Take the texts of the next batch."""

        def fits(jobs: Sequence[PoolingJob]) -> bool:
            return sum(len(job.tokens) for job in jobs) <= self._context.batch_size

        return self._waiting.take(self._context.max_texts, fits)

    def _output(self, job: PoolingJob, result: npt.NDArray[np.float32]) -> SequenceOutput:
        if not np.isfinite(result).all():
            error = StokerError("The model computed numbers that are no numbers for this text.")
            return SequenceOutput(job.id, error=error)
        if job.mode is Mode.EMBED:
            return SequenceOutput(job.id, embedding=result.astype("<f4").tobytes())
        score = float(result[0])
        return SequenceOutput(
            job.id, score=score if self._model.scores_are_shares else _logistic(score)
        )


def _logistic(logit: float) -> float:
    """A classifier's logit as a probability; without overflow at either end."""
    if logit >= 0:
        return 1 / (1 + math.exp(-logit))
    return math.exp(logit) / (1 + math.exp(logit))
