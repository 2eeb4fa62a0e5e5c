"""The batch: what `llama_decode` computes in a step, filled by the step's plan."""

from __future__ import annotations

from stoker_llama_cpp.batch_arrays import BatchArrays
from stoker_llama_cpp.scheduler import Chunk


class Batch:
    """Room for one step's chunks; made once, filled anew for each step.

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
        self._arrays = BatchArrays(size=size, sequences=slots)
        self.struct = self._arrays.struct
        self.outputs: list[tuple[int, Chunk]] = []
        self.scored: list[tuple[int, int, Chunk]] = []
        self.rows = 0

    def fill(self, plan: list[Chunk]) -> None:
        """Write a step's chunks, one behind the other."""
        self.outputs.clear()
        self.scored.clear()
        tokens, wanted = self._arrays.tokens, self._arrays.wanted
        start = self.rows = 0
        for chunk in plan:
            sequence = chunk.sequence
            first, last, end = sequence.in_memory, start + chunk.count - 1, start + chunk.size
            tokens[start : last + 1] = sequence.tokens[first : first + chunk.count]
            tokens[last + 1 : end] = chunk.draft
            self._arrays.belong(start, end, sequence=sequence.slot, position=first)
            wanted[start:end] = 0
            if sequence.scores:
                wanted[start : last + 1] = 1
                self.scored.append((self.rows, first, chunk))
                self.rows += chunk.count - 1 if chunk.completes else chunk.count
            if chunk.completes:
                wanted[last:end] = 1
                self.outputs.append((self.rows, chunk))
                self.rows += end - last
            start = end
        self.struct.n_tokens = start
