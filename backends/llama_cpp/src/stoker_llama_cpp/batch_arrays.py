"""The arrays that a `llama_batch` points to."""

from __future__ import annotations

import ctypes
from typing import Any

import numpy as np
from llama_cpp import llama_cpp as native


class BatchArrays:
    """Room for one step's tokens; made once, filled anew for each step.

    The arrays are numpy's, so that many tokens are copied at once and not one by one.

    Attributes:
        struct: What the binding's functions take; its `n_tokens` says how many tokens count.
        tokens: The tokens.
        wanted: Which tokens have results, as 0 or 1; all at first.
    """

    def __init__(self, *, size: int, sequences: int) -> None:
        """Make the arrays.

        Args:
            size: Most tokens in a step.
            sequences: llama.cpp's ids of sequences are from 0 to this, exclusive.
        """
        self.tokens = np.zeros(size, dtype=np.int32)
        self.wanted = np.ones(size, dtype=np.int8)
        self._positions = np.zeros(size, dtype=np.int32)
        # A token may belong to several sequences, so C wants an array per token. Here each has
        # one, and all tokens of a sequence point to the same.
        self._ids = np.arange(sequences, dtype=np.int32)
        self._first_id: int = self._ids.ctypes.data
        self._id_counts = np.ones(size, dtype=np.int32)
        self._id_pointers = np.zeros(size, dtype=np.uintp)
        self.struct = native.llama_batch(
            n_tokens=0,
            token=_pointer(self.tokens, ctypes.c_int32),
            embd=None,
            pos=_pointer(self._positions, ctypes.c_int32),
            n_seq_id=_pointer(self._id_counts, ctypes.c_int32),
            seq_id=_pointer(self._id_pointers, ctypes.POINTER(ctypes.c_int32)),
            logits=_pointer(self.wanted, ctypes.c_int8),
        )

    def belong(self, start: int, end: int, *, sequence: int, position: int) -> None:
        """Say whose the tokens from `start` to `end` are, and where in it the first one stands."""
        self._positions[start:end] = np.arange(position, position + end - start)
        self._id_pointers[start:end] = self._first_id + sequence * self._ids.itemsize


def _pointer(array: np.ndarray[Any, Any], kind: Any) -> Any:
    return array.ctypes.data_as(ctypes.POINTER(kind))
