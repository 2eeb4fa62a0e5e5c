"""The context of a model that reads whole texts, and the batch that it computes them in."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from llama_cpp import llama_cpp as native

from stoker.errors import LoadError, UnavailableError
from stoker_llama_cpp.batch_arrays import BatchArrays
from stoker_llama_cpp.context import base_params, context_length_of, new_context
from stoker_llama_cpp.context_shape import DEFAULT_TEXT_LENGTH
from stoker_llama_cpp.log import LOG, cause
from stoker_llama_cpp.model import Model
from stoker_llama_cpp.options import LlamaCppOptions

MAX_TEXTS = 64
"""Most texts in a batch: eight tokens of each fill one of the default size. llama.cpp compares all
sequences that there could be with each other, batch for batch."""

_PROBES = 8
"""Texts that are computed at the start."""


class PoolingContext:
    """Buffers to compute batches of texts with; a text keeps nothing from step to step.

    Attributes:
        context_length: Most tokens of one text.
        batch_size: Tokens up to which texts are put together; a longer one goes by itself.
        max_texts: Most texts that are put together.
    """

    def __init__(self, model: Model, options: LlamaCppOptions, pooling: int) -> None:
        """Set the memory aside.

        Args:
            model: The model.
            options: How to run it.
            pooling: A `llama_pooling_type` that makes one vector of a text.

        Raises:
            LoadError: The options do not fit to the model, or memory is short.
        """
        self.context_length = context_length_of(model, options, default=DEFAULT_TEXT_LENGTH)
        self.batch_size = options.batch_size
        size = max(self.batch_size, self.context_length)
        params = base_params(options)
        params.embeddings = True
        params.pooling_type = pooling
        # A text that attends to what comes after must be computed at once: llama.cpp ends the
        # process where a batch is larger than these.
        params.n_ctx = params.n_batch = params.n_ubatch = size
        # With more of these than tokens it ends the process, too.
        self.max_texts = params.n_seq_max = min(MAX_TEXTS, size)
        self._handle = new_context(model, params)
        # Encoders have none.
        self._memory = native.llama_get_memory(self._handle)
        self._ranks = pooling == native.LLAMA_POOLING_TYPE_RANK
        self._width = model.label_count if self._ranks else model.embedding_length
        count = min(_PROBES, self.max_texts, len(model.vocabulary))
        self._probes = [(token,) for token in range(count)]
        self._batch = BatchArrays(size=size, sequences=self.max_texts)

    def warm_up(self) -> None:
        """Compute some tokens: what cannot be computed shows now, and the first request is fast.

        Raises:
            LoadError: They cannot be computed, or the model has no classifier to rank by.
        """
        try:
            first = self.compute(self._probes)
            if self._ranks and not self._gives_scores(first):
                raise LoadError(
                    "The model has no classifier that makes a score of a query and a document, so"
                    " it cannot rank: leave the option pooling out, or set it to mean, cls or last"
                    " for embeddings."
                )
        except UnavailableError as exc:
            raise LoadError(exc.message) from exc

    def compute(self, texts: Sequence[Sequence[int]]) -> list[npt.NDArray[np.float32]]:
        """Compute texts, each of which must see nothing of the others.

        Args:
            texts: At most `max_texts`, together no longer than the larger of `batch_size` and
                `context_length`.

        Returns:
            What pooling made of each: the embedding, or the classifier's numbers.

        Raises:
            UnavailableError: llama.cpp cannot compute them.
        """
        self._fill(texts)
        with LOG.recording() as lines:
            # Without a memory this encodes.
            code = native.llama_decode(self._handle, self._batch.struct)
            if code:
                raise UnavailableError(
                    f"llama.cpp could not compute a batch (code {code}): {cause(lines)}."
                )
        try:
            return [self._result(index) for index in range(len(texts))]
        finally:
            if self._memory is not None:
                native.llama_memory_clear(self._memory, False)  # noqa: FBT003 - a C function

    def close(self) -> None:
        """Free the buffers."""
        native.llama_free(self._handle)

    def _gives_scores(self, first: Sequence[npt.NDArray[np.float32]]) -> bool:
        """Whether what came for the probes does not depend on their places in the batch.

        llama.cpp does not say whether a classifier is there. Where none is, it takes the numbers
        of the first text's vector for the scores of all texts.
        """
        again = self.compute([*self._probes[1:], self._probes[0]])
        return np.allclose(first, [again[-1], *again[:-1]], rtol=0.05, atol=1e-4)

    def _fill(self, texts: Sequence[Sequence[int]]) -> None:
        start = 0
        for index, tokens in enumerate(texts):
            end = start + len(tokens)
            self._batch.tokens[start:end] = tokens
            self._batch.belong(start, end, sequence=index, position=0)
            start = end
        self._batch.struct.n_tokens = start

    def _result(self, index: int) -> npt.NDArray[np.float32]:
        """Copy a text's result: the pointer holds until the next batch."""
        pointer: Any = native.llama_get_embeddings_seq(self._handle, index)
        if not pointer:
            raise UnavailableError("llama.cpp gave no result for a text that it computed.")
        return np.array(np.ctypeslib.as_array(pointer, shape=(self._width,)))
