"""The draft model: a small model that guesses what a large one will say."""

from __future__ import annotations

import time
from array import array
from collections.abc import Collection

import attrs
import numpy as np
import numpy.typing as npt

from stoker.prefix_tree import common_length
from stoker_llama_cpp.batch import Batch
from stoker_llama_cpp.context import Context
from stoker_llama_cpp.log import LOG
from stoker_llama_cpp.model import Model
from stoker_llama_cpp.scheduler import Chunk
from stoker_llama_cpp.sequence import Sequence
from stoker_llama_cpp.speculation import MAX_DRAFT_TOKENS

CATCH_UP_TOKENS = 128
"""How many tokens of prompts the model reads in a step, of all sequences together."""

# A guess that is less likely ends the draft: what comes behind it is probably for nothing.
_LEAST_PROBABILITY = 0.3
_WEIGHT = 0.2


@attrs.define(eq=False)
class Draft:
    """A sequence, how many tokens to guess behind it, and what was guessed so far."""

    sequence: Sequence
    count: int
    guess: array[int] = attrs.field(factory=lambda: array("i"))


class DraftModel:
    """Guesses for the sequences of a model with the same vocabulary.

    It has a copy of each sequence that it guesses for, in a context of its own. A copy has the
    sequence's tokens and the guesses behind them; those that were wrong are taken out the next
    time. All is called from the engine's thread.

    Attributes:
        step_s: How long one more guess takes; 0 when that is not known yet.
    """

    def __init__(self, model: Model, context: Context) -> None:
        """Take over a model and a context; `close` frees them."""
        self._model = model
        self._context = context
        self._batch = Batch(size=context.batch_size, slots=context.slots)
        self._free = list(range(context.slots))
        self._copies: dict[int, Sequence] = {}
        self.step_s = 0.0

    def draft(self, drafts: Collection[Draft]) -> None:
        """Guess what comes behind sequences: as much as is wished for, or less.

        Nothing is guessed for a sequence of which much is to be read first. That is read in parts,
        a part each time, so that a long prompt does not hold up the others.
        """
        copies = [(draft, copy) for draft in drafts if (copy := self._copy(draft.sequence))]
        share = CATCH_UP_TOKENS // max(len(copies), 1)
        plan = [Chunk(copy, min(copy.pending, share)) for _, copy in copies]
        guessing = [(draft, copy) for draft, copy in copies if copy.pending <= share]
        while plan and self._compute(plan):
            # Only the copies whose tokens are all computed have rows, in the plan's order.
            guessing = [
                (draft, copy)
                for (row, _), (draft, copy) in zip(self._batch.outputs, guessing, strict=True)
                if self._guess(draft, copy, self._context.logits()[row])
            ]
            plan = [Chunk(copy, 1) for _, copy in guessing]

    def forget(self, sequence: Sequence) -> None:
        """Free what belongs to a sequence; a no-op when nothing does."""
        copy = self._copies.pop(sequence.job.id, None)
        if copy is not None:
            self._context.forget(copy.slot)
            self._free.append(copy.slot)

    def close(self) -> None:
        """Free the context and the weights."""
        self._context.close()
        self._model.close()

    def _copy(self, sequence: Sequence) -> Sequence | None:
        """The sequence's copy, with the same tokens; None when there is no room for it."""
        copy = self._copies.get(sequence.job.id)
        if copy is None:
            if not self._free:
                return None
            copy = self._copies[sequence.job.id] = Sequence(sequence.job, order=sequence.order)
            copy.slot = self._free.pop()
        same = common_length(copy.tokens, sequence.tokens)
        copy.tokens[same:] = sequence.tokens[same:]
        # The last token is computed again when it was: its logits are needed.
        length = min(copy.in_memory, same, len(sequence.tokens) - 1)
        if length < copy.in_memory:
            copy.in_memory = self._context.rewind(copy.slot, length)
        needed = sum(len(other.tokens) for other in self._copies.values()) + MAX_DRAFT_TOKENS
        if needed > self._context.cells or len(copy.tokens) >= self._context.context_length:
            self.forget(sequence)
            return None
        return copy

    def _compute(self, plan: list[Chunk]) -> bool:
        """Compute tokens; when that fails, all copies are given up, and nothing else is lost."""
        self._batch.fill(plan)
        started_s = time.perf_counter()
        with LOG.recording():
            code = self._context.decode(self._batch.struct)
        if code:
            for copy in list(self._copies.values()):
                self.forget(copy)
            return False
        self._context.logits()
        if all(chunk.count == 1 for chunk in plan):
            spent_s = time.perf_counter() - started_s
            self.step_s += (_WEIGHT if self.step_s else 1) * (spent_s - self.step_s)
        for chunk in plan:
            chunk.sequence.in_memory += chunk.count
        return True

    def _guess(self, draft: Draft, copy: Sequence, logits: npt.NDArray[np.float32]) -> bool:
        """Take the best token as a guess, if it is likely; says whether to go on behind it."""
        token = int(logits.argmax())
        if 1 / np.exp(logits - logits[token]).sum() < _LEAST_PROBABILITY:
            return False
        draft.guess.append(token)
        copy.tokens.append(token)
        return len(draft.guess) < draft.count
