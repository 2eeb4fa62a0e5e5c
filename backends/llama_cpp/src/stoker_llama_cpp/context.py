"""The context: the KV cache, and computing batches with it."""

from __future__ import annotations

import ctypes
from typing import Any

import numpy as np
import numpy.typing as npt
from llama_cpp import llama_cpp as native

from stoker.errors import LoadError
from stoker_llama_cpp.context_shape import DEFAULT_CONTEXT_LENGTH, ContextShape, padded_cells
from stoker_llama_cpp.log import LOG, cause
from stoker_llama_cpp.model import Model
from stoker_llama_cpp.options import LlamaCppOptions
from stoker_llama_cpp.threads import sensible_threads

_FLASH_ATTENTION = {"auto": -1, "off": 0, "on": 1}


class Context:
    """A KV cache that all sequences share, and the buffers to compute with.

    Attributes:
        handle: For the binding's functions.
        context_length: Most tokens of one sequence.
        cells: How many tokens the KV cache holds.
        batch_size: Most tokens that it computes at once.
        max_sequences: Most sequences that run side by side.
        slots: How many sequences llama.cpp knows; they count from 0.
        rows: Most tokens of a step for which logits can be asked.
        shares: Whether a sequence can start from the first tokens of another one.
        speculates: Whether tokens can be computed that may have to be taken out again.
        saves: Whether states of sequences can be saved.
        exact: Whether a saved state cannot be cut back.
        token_bytes: What a token takes in the KV cache.
    """

    def __init__(self, model: Model, options: LlamaCppOptions, *, rewinds: bool = False) -> None:
        """Set the memory aside.

        Args:
            model: The weights.
            options: How it is run.
            rewinds: Whether sequences are cut back by more than a step, without a prefix cache too.

        Raises:
            LoadError: The options do not fit together or to the model, or memory is short.
        """
        self.context_length = context_length_of(model, options)
        params = base_params(options)
        params.n_ctx = _cells(self.context_length, options)
        params.n_batch = options.batch_size
        params.n_ubatch = options.ubatch_size
        self.max_sequences = options.max_sequences
        self._recurrent = model.is_recurrent
        shape = ContextShape(options, recurrent=self._recurrent)
        self.shares, self.speculates = shape.shares, shape.speculates
        self.saves = options.prefix_cache
        self.exact = self._recurrent or bool(model.window)
        self.token_bytes = 0
        params.swa_full = shape.keeps_past or rewinds
        self.slots = params.n_seq_max = shape.slots
        self.rows = shape.rows
        # The default reserves buffers for a row of logits per token of the batch.
        params.n_outputs_max = shape.kept_rows
        self.handle = new_context(model, params)
        self._memory = native.llama_get_memory(self.handle)
        self.cells = int(native.llama_n_ctx(self.handle))
        self.batch_size = int(native.llama_n_batch(self.handle))
        self._window = model.window
        self._shape = self.rows, len(model.vocabulary)
        self._logits_address = 0
        self._logits: npt.NDArray[np.float32] = np.empty((0, 0), dtype=np.float32)

    @property
    def generates(self) -> bool:
        """Whether the model's texts can be gone on with: embedding models keep no cache."""
        pooling = native.llama_pooling_type(self.handle)
        return self._memory is not None and pooling == native.LLAMA_POOLING_TYPE_NONE

    def warm_up(self) -> None:
        """Compute two tokens: a lack of memory shows now, and the first request is not slow.

        Raises:
            LoadError: They cannot be computed.
        """
        tokens = (ctypes.c_int32 * 2)(0, 0)
        with LOG.recording() as lines:
            code = self.decode(native.llama_batch_get_one(tokens, len(tokens)))
        if code:
            raise LoadError(f"llama.cpp could not compute a batch (code {code}): {cause(lines)}.")
        self.logits()
        # Some kinds of memory refuse to be cut, and end the process when part of it is shared.
        two_bytes = self.size_bytes(0)
        cut = bool(native.llama_memory_seq_rm(self._memory, 0, 1, -1))
        self.token_bytes = two_bytes - self.size_bytes(0)
        self.shares = self.shares and cut
        self.exact = self.exact or not cut
        self.speculates = self.speculates and cut
        self.forget(0)

    def decode(self, batch: Any) -> int:
        """Compute a `llama_batch`.

        Returns:
            0, or llama.cpp's code of what went wrong; `rewind` then tells what is in memory.
        """
        return int(native.llama_decode(self.handle, batch))

    def logits(self) -> npt.NDArray[np.float32]:
        """The logits of the last batch: (outputs, vocabulary), in the batch's order.

        Waits for the computation. The array is llama.cpp's own memory: it holds until the next
        batch, and has as many rows as could be asked for, of which the first are filled.
        """
        pointer: Any = native.llama_get_logits(self.handle)
        address = ctypes.addressof(pointer.contents)
        if address != self._logits_address:
            self._logits = np.ctypeslib.as_array(pointer, shape=self._shape)
            self._logits_address = address
        return self._logits

    def forget(self, slot: int) -> None:
        """Empty a slot's part of the cache."""
        native.llama_memory_seq_rm(self._memory, slot, -1, -1)

    def share(self, source: int, slot: int, length: int, start: int = 0) -> None:
        """Give a slot another one's tokens from `start` to `length`; nothing is copied."""
        native.llama_memory_seq_cp(self._memory, source, slot, start, length)

    def size_bytes(self, slot: int) -> int:
        """How large the state of a slot's tokens is, when it is saved."""
        return int(native.llama_state_seq_get_size(self.handle, slot))

    def save(self, slot: int) -> memoryview | None:
        """Copy the state of a slot's tokens; None when llama.cpp cannot."""
        state = np.empty(self.size_bytes(slot), dtype=np.uint8)
        copied = native.llama_state_seq_get_data(self.handle, _address(state), len(state), slot)
        return state.data if copied == len(state) else None

    def load(self, slot: int, state: memoryview) -> bool:
        """Put a saved state into an empty slot; says whether that could be done."""
        content = np.frombuffer(state, dtype=np.uint8)
        if native.llama_state_seq_set_data(self.handle, _address(content), len(content), slot):
            return True
        self.forget(slot)
        return False

    def reusable(self, slot: int, length: int) -> bool:
        """Whether a sequence can go on from a slot's first so many tokens.

        Recurrent layers know nothing of the past but what is left of it after the last token.
        Layers with a sliding window may have lost tokens that are before the window of the slot's
        last one, but not before the window of an earlier one.
        """
        if self._recurrent:
            return length == int(native.llama_memory_seq_pos_max(self._memory, slot)) + 1
        if not self._window:
            return True
        first = int(native.llama_memory_seq_pos_min(self._memory, slot))
        return first <= max(0, length - self._window)

    def rewind(self, slot: int, length: int) -> int:
        """Cut a slot's part of the cache down to so many tokens.

        Returns:
            How many are in memory now: fewer when there were fewer, and none when a sequence
            cannot go on from there.
        """
        length = min(length, int(native.llama_memory_seq_pos_max(self._memory, slot)) + 1)
        if (
            length > 0
            and self.reusable(slot, length)
            and native.llama_memory_seq_rm(self._memory, slot, length, -1)
        ):
            return length
        self.forget(slot)
        return 0

    def close(self) -> None:
        """Free the cache and the buffers."""
        native.llama_free(self.handle)


def base_params(options: LlamaCppOptions) -> Any:
    """Parameters of a context that do not depend on what it is for."""
    params = native.llama_context_default_params()
    params.n_threads = params.n_threads_batch = options.threads or sensible_threads()
    params.flash_attn_type = _FLASH_ATTENTION[options.flash_attention]
    params.type_k = getattr(native, f"GGML_TYPE_{options.cache_type_k.upper()}")
    params.type_v = getattr(native, f"GGML_TYPE_{options.cache_type_v.upper()}")
    params.kv_unified = True
    return params


def new_context(model: Model, params: Any) -> int:
    """Make a `llama_context`.

    Raises:
        LoadError: llama.cpp cannot; says why in its words.
    """
    with LOG.recording() as lines:
        handle: int | None = native.llama_init_from_model(model.handle, params)
    if handle is None:
        raise LoadError(f"llama.cpp cannot make a context: {cause(lines)}.")
    return handle


def context_length_of(
    model: Model, options: LlamaCppOptions, *, default: int = DEFAULT_CONTEXT_LENGTH
) -> int:
    """Most tokens of a sequence: what the options say, else what the model was trained for.

    Args:
        model: The model.
        options: Where `context_length` may be set.
        default: Most that is taken when it is not.

    Raises:
        LoadError: The options want more than the model was trained for.
    """
    trained = model.trained_context_length or default
    wanted = options.context_length
    if wanted is None:
        return min(trained, default)
    if wanted > trained:
        raise LoadError(
            f"context_length is {wanted}, but the model was trained for {trained}:"
            " set that or less."
        )
    return wanted


def _cells(context_length: int, options: LlamaCppOptions) -> int:
    cells = context_length if options.cache_tokens is None else options.cache_tokens
    if cells < context_length:
        raise LoadError(
            f"cache_tokens is {cells}, which is less than the context_length of {context_length}:"
            " the cache must hold at least one whole sequence."
        )
    if options.batch_size < options.max_sequences:
        raise LoadError(
            f"batch_size is {options.batch_size}, which is less than max_sequences"
            f" ({options.max_sequences}): a step must hold a token of every sequence."
        )
    return padded_cells(cells)


def _address(state: npt.NDArray[np.uint8]) -> Any:
    return state.ctypes.data_as(ctypes.POINTER(ctypes.c_uint8))
