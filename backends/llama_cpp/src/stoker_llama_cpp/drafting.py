"""Drafting: adding guesses to a step, where they pay."""

from __future__ import annotations

from collections.abc import Callable

import attrs

from stoker_llama_cpp.draft_model import Draft, DraftModel
from stoker_llama_cpp.pace import Pace
from stoker_llama_cpp.scheduler import Chunk, Scheduler
from stoker_llama_cpp.sequence import Sequence
from stoker_llama_cpp.speculation import MAX_DRAFT_TOKENS


class Drafting:
    """Guesses what comes behind sequences that answer: by lookup, else by a draft model."""

    def __init__(
        self, scheduler: Scheduler, pace: Pace, *, rows: int, model: DraftModel | None = None
    ) -> None:
        """Begin without sequences.

        Args:
            scheduler: Knows how much room a step has.
            pace: Knows what a longer step costs.
            rows: Most tokens of a step for which there are logits.
            model: A draft model, which `close` frees.
        """
        self._scheduler = scheduler
        self._pace = pace
        self._rows = rows
        self._model = model

    def extended(self, plan: list[Chunk]) -> list[Chunk]:
        """A step's plan with guesses added, where there is room and they pay."""
        if all(chunk.sequence.speculation is None for chunk in plan):
            return plan
        rows = self._rows - sum(chunk.rows for chunk in plan)
        room = min(self._scheduler.room(plan), rows)
        if len(plan) > 1:
            # The others wait for a guess that is of use to one.
            reads = sum(chunk.count for chunk in plan if not chunk.sequence.answers)
            answers = sum(chunk.count for chunk in plan) - reads
            room = min(room, self._pace.guesses(answers, reads))
        size = sum(chunk.size for chunk in plan)
        drafts: list[Draft | None] = []
        for chunk in plan:
            draft = self._wanted(chunk, room, size)
            drafts.append(draft)
            if draft is not None:
                room, size = room - draft.count, size + draft.count
        wishes = [draft for draft in drafts if draft is not None and not draft.guess]
        if self._model is not None and wishes:
            self._model.draft(wishes)
            for draft in wishes:
                if draft.guess and draft.sequence.speculation is not None:
                    draft.sequence.speculation.guessed(draft.guess)
        return [
            chunk if draft is None else attrs.evolve(chunk, draft=draft.guess)
            for chunk, draft in zip(plan, drafts, strict=True)
        ]

    def forget(self, sequence: Sequence) -> None:
        """Free what belongs to a sequence that has ended."""
        if self._model is not None:
            self._model.forget(sequence)

    def close(self) -> None:
        """Free the draft model."""
        if self._model is not None:
            self._model.close()

    def _wanted(self, chunk: Chunk, room: int, size: int) -> Draft | None:
        """A guess by lookup, or how many tokens the draft model should guess; None for neither."""
        sequence = chunk.sequence
        speculation = sequence.speculation
        if speculation is None or not (sequence.answers and chunk.completes):
            return None
        most = min(room, MAX_DRAFT_TOKENS, sequence.left - 1)
        guess = speculation.draft(sequence.tokens, most, size - 1, self._pace.cost)
        if guess:
            return Draft(sequence, len(guess), guess)
        if self._model is None or most < 1:
            return None
        count = speculation.wish(most, size - 1, self._cost_from(self._model, size))
        return Draft(sequence, count) if count else None

    def _cost_from(self, model: DraftModel, size: int) -> Callable[[float], float]:
        """What a step costs of which all tokens behind the first `size` are a model's guesses."""
        price = model.step_s / self._pace.token_s if self._pace.token_s else 0.0

        def cost(tokens: float) -> float:
            return self._pace.cost(tokens) + price * (tokens - size)

        return cost
