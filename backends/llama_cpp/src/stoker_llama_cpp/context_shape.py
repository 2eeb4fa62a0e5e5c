"""How large a context is: what follows from the options and is known before anything is loaded.

The context is made by these numbers, and the estimate foretells its memory by them, in a process
that does not import llama.cpp.
"""

from __future__ import annotations

import attrs

from stoker_llama_cpp.options import MAX_SEQUENCES, LlamaCppOptions

DEFAULT_CONTEXT_LENGTH = 8192
"""What a sequence may hold unless the options say so. Today's models are trained for much more
than most machines have memory for."""

DEFAULT_TEXT_LENGTH = 2048
"""The same for a model that pools: it reads a text at once, with memory for all of its tokens.
llama.cpp sets aside a row of logits for each of them, too, which nobody reads: 2 GB for 2048 tokens
of a vocabulary of 250 000."""

KEPT_SLOTS = 8
"""Slots beside those of running sequences, so that ended ones are kept while all others run. Each
takes memory for two rows of logits: llama.cpp sets some aside for all of its sequences."""

DRAFT_ROWS = 16
"""Rows of logits in a step, beside one for each sequence, so that guesses can be verified."""

LEAST_RAM_BYTES = 2**28
"""Host memory for prefixes that leave the KV cache, unless the options say how much."""

# llama.cpp pads the cache to a multiple of this (GGML_PAD in llama_context's constructor), and
# limits batches by the size before the padding.
_CELLS_MULTIPLE = 256


@attrs.frozen
class ContextShape:
    """What a model that generates has in its context.

    Attributes:
        options: How it is run.
        recurrent: Whether layers have one state for a whole sequence, which takes much memory and
            cannot be cut back.
    """

    options: LlamaCppOptions
    recurrent: bool

    @property
    def shares(self) -> bool:
        """Whether a sequence may start from the first tokens of another one."""
        return self.options.prefix_cache and not self.recurrent

    @property
    def keeps_past(self) -> bool:
        """Whether layers with a sliding window keep what is before it, as all others do.

        Only then can a sequence go on from any part of another one. Without that, a cache for the
        window is enough, also for guesses: what llama.cpp overwrites is out of the window of a
        step's first token, and that one stays.
        """
        return self.options.prefix_cache

    @property
    def speculates(self) -> bool:
        """Whether tokens may be computed that are taken out again."""
        return self.options.speculation and not self.recurrent

    @property
    def slots(self) -> int:
        """How many sequences llama.cpp knows."""
        running = self.options.max_sequences
        return min(running + KEPT_SLOTS, MAX_SEQUENCES) if self.shares else running

    @property
    def rows(self) -> int:
        """Most tokens of a step for which logits can be asked."""
        wanted = self.options.max_sequences + DRAFT_ROWS * self.speculates
        return min(wanted, self.options.batch_size)

    @property
    def kept_rows(self) -> int:
        """Rows of logits that memory is set aside for: llama.cpp wants one for each sequence."""
        return max(self.slots, self.rows)


def padded_cells(tokens: int) -> int:
    """How many cells the KV cache has in which so many tokens should fit."""
    return -(-tokens // _CELLS_MULTIPLE) * _CELLS_MULTIPLE


def prefix_ram_bytes(options: LlamaCppOptions, cache_bytes: int) -> int:
    """Most host memory for prefixes: what the options say, else as much as the KV cache takes."""
    if options.prefix_ram_bytes is not None:
        return options.prefix_ram_bytes
    return max(cache_bytes, LEAST_RAM_BYTES)
