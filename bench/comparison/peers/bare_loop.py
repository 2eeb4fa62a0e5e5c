"""The limit: `llama_decode` in a loop, with the best token, and nothing else."""

from __future__ import annotations

import contextlib
import ctypes
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import attrs
import numpy as np
import numpy.typing as npt
from llama_cpp import llama_cpp as native

from comparison.generation import Arrival, Reading
from comparison.peer import Peer, PeerError, Serving, Session

PROMPT_LIMIT = 512
"""Most tokens of a prompt: one batch reads it."""


class BareLoop(Peer):
    """All streams begin together and have no schema; the loop runs in this process.

    The argument `unified` puts all streams into one KV cache instead of one for each.
    """

    serves = False

    @contextlib.contextmanager
    def session(self, serving: Serving, folder: Path) -> Iterator[Session]:
        """Load the model."""
        del folder
        model = native.llama_model_load_from_file(
            str(serving.model.path).encode(), native.llama_model_default_params()
        )
        params = native.llama_context_default_params()
        params.n_ctx = serving.streams * serving.context_length
        params.n_seq_max = serving.streams
        params.n_threads = params.n_threads_batch = serving.threads
        params.kv_unified = "unified" in self.arguments
        context = native.llama_init_from_model(model, params)
        if context is None:
            raise PeerError("llama.cpp cannot make a context")
        batch = native.llama_batch_init(max(PROMPT_LIMIT, serving.streams), 0, 1)
        try:
            yield _Loop(native.llama_model_get_vocab(model), context, batch)
        finally:
            native.llama_batch_free(batch)
            native.llama_free(context)
            native.llama_model_free(model)


@attrs.define
class _Loop(Session):
    vocabulary: Any
    context: Any
    batch: Any
    arrays: dict[tuple[int, int], npt.NDArray[np.float32]] = attrs.field(factory=dict)

    async def play(self, arrivals: Sequence[Arrival]) -> list[Reading]:
        """Read the prompts one by one, then advance all streams by a token in each step."""
        limits = {arrival.generation.max_tokens for arrival in arrivals}
        if len(limits) > 1 or any(a.at_s or a.generation.schema for a in arrivals):
            raise PeerError("the bare loop takes equal requests at one time only")
        asked_s = time.perf_counter()
        native.llama_memory_clear(native.llama_get_memory(self.context), True)  # noqa: FBT003
        positions, latest = [], []
        for stream, arrival in enumerate(arrivals):
            prompt = self._tokens(arrival.generation.prompt)
            wanted = len(prompt) - 1
            rows = [(t, at, stream, at == wanted) for at, t in enumerate(prompt)]
            latest += self._decode(rows)
            positions.append(len(prompt))
        moments_s = [time.perf_counter()]
        for _ in range(limits.pop() - 1):
            latest = self._decode(
                [
                    (token, position, stream, True)
                    for stream, (token, position) in enumerate(zip(latest, positions, strict=True))
                ]
            )
            positions = [position + 1 for position in positions]
            moments_s.append(time.perf_counter())
        reading = Reading(asked_s, tuple(moments_s), "", len(moments_s), "length")
        return [reading] * len(arrivals)

    def _tokens(self, text: str) -> list[int]:
        data = text.encode()
        buffer = (ctypes.c_int32 * PROMPT_LIMIT)()
        special = True
        count = native.llama_tokenize(
            self.vocabulary, data, len(data), buffer, PROMPT_LIMIT, special, special
        )
        if count < 0:
            raise PeerError(f"the bare loop takes prompts of {PROMPT_LIMIT} tokens at most")
        return list(buffer[:count])

    def _decode(self, rows: list[tuple[int, int, int, bool]]) -> list[int]:
        """Compute a batch of (token, position, stream, wanted); the best next tokens."""
        batch, wanted = self.batch, 0
        batch.n_tokens = len(rows)
        for at, (token, position, stream, is_wanted) in enumerate(rows):
            batch.token[at], batch.pos[at] = token, position
            batch.n_seq_id[at], batch.seq_id[at][0] = 1, stream
            batch.logits[at] = is_wanted
            wanted += is_wanted
        if native.llama_decode(self.context, batch) != 0:
            raise PeerError("llama_decode failed")
        best: list[int] = self._logits(wanted).argmax(axis=1).tolist()
        return best

    def _logits(self, rows: int) -> npt.NDArray[np.float32]:
        pointer = native.llama_get_logits(self.context)
        address = ctypes.addressof(pointer.contents)
        # Making the array takes longer than all else in this loop.
        if (address, rows) not in self.arrays:
            shape = rows, native.llama_vocab_n_tokens(self.vocabulary)
            self.arrays = {(address, rows): np.ctypeslib.as_array(pointer, shape)}
        return self.arrays[address, rows]
