"""The batch: the arrays that `llama_decode` reads, filled by the step's plan."""

from __future__ import annotations

import ctypes
from typing import Any

import numpy as np
from llama_cpp import llama_cpp as native

from stoker_llama_cpp.scheduler import Chunk


class Batch:
    """Room for one step's tokens; made once, filled anew for each step.

    The arrays are numpy's, so that a prompt's chunk is copied at once and not token by token.

    Attributes:
        struct: What the binding's functions take.
        outputs: The chunks that a token can be sampled for, each with the number of its first row
            of logits. It has one row, and one more for every token of its draft.
        scored: The chunks of prompts of which every token has a row, each with the number of the
            first one and the place of its token in the prompt.
        rows: How many rows of logits there are.
    """

    def __init__(self, *, size: int, slots: int) -> None:
        """Make the arrays.

        Args:
            size: Most tokens in a step.
            slots: llama.cpp's ids of sequences are from 0 to this, exclusive.
        """
        self._tokens = np.zeros(size, dtype=np.int32)
        self._positions = np.zeros(size, dtype=np.int32)
        self._wanted = np.zeros(size, dtype=np.int8)
        # A token may belong to several sequences, so C wants an array per token. Here each has
        # one, and all tokens of a sequence point to the same.
        self._ids = np.arange(slots, dtype=np.int32)
        self._id_counts = np.ones(size, dtype=np.int32)
        self._id_pointers = np.zeros(size, dtype=np.uintp)
        self.outputs: list[tuple[int, Chunk]] = []
        self.scored: list[tuple[int, int, Chunk]] = []
        self.rows = 0
        self.struct = native.llama_batch(
            n_tokens=0,
            token=_pointer(self._tokens, ctypes.c_int32),
            embd=None,
            pos=_pointer(self._positions, ctypes.c_int32),
            n_seq_id=_pointer(self._id_counts, ctypes.c_int32),
            seq_id=_pointer(self._id_pointers, ctypes.POINTER(ctypes.c_int32)),
            logits=_pointer(self._wanted, ctypes.c_int8),
        )

    def fill(self, plan: list[Chunk]) -> None:
        """Write a step's chunks, one behind the other."""
        self.outputs.clear()
        self.scored.clear()
        base, width = self._ids.ctypes.data, self._ids.itemsize
        start = self.rows = 0
        for chunk in plan:
            sequence = chunk.sequence
            first, last, end = sequence.in_memory, start + chunk.count - 1, start + chunk.size
            self._tokens[start : last + 1] = sequence.tokens[first : first + chunk.count]
            self._tokens[last + 1 : end] = chunk.draft
            self._positions[start:end] = np.arange(first, first + chunk.size)
            self._id_pointers[start:end] = base + sequence.slot * width
            self._wanted[start:end] = 0
            if sequence.scores:
                self._wanted[start : last + 1] = 1
                self.scored.append((self.rows, first, chunk))
                self.rows += chunk.count - 1 if chunk.completes else chunk.count
            if chunk.completes:
                self._wanted[last:end] = 1
                self.outputs.append((self.rows, chunk))
                self.rows += end - last
            start = end
        self.struct.n_tokens = start


def _pointer(array: np.ndarray[Any, Any], kind: Any) -> Any:
    return array.ctypes.data_as(ctypes.POINTER(kind))
