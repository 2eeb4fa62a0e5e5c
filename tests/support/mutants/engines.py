"""Engines with one fault each; `tools/mutations.py` looks whether the kit finds it."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence

import attrs
import pytest
from byte_engine import ByteEngine, Running

from stoker.engine import Engine, SequenceJob, SequenceOutput, Vocabulary
from stoker.events import FinishReason
from stoker.testing import EngineContract

COUNTING = frozenset(
    {
        "test_a_cancelled_sequence_says_nothing_more",
        "test_a_constraint_that_fails_fails_its_sequence_only",
        "test_a_limit_cuts_a_constrained_answer",
        "test_a_running_engine_takes_more",
        "test_an_id_can_be_used_again",
        "test_cancelled_sequences_leave_room",
        "test_finished_sequences_leave_room",
        "test_logit_bias_bans_a_token",
        "test_logprobs_come_when_asked_for",
        "test_masks_are_honoured",
        "test_max_tokens_is_exact",
        "test_sequences_run_side_by_side",
        "test_the_pipeline_makes_events_of_it",
        "test_usage_adds_up",
    }
)
"""The tests that count the tokens of an answer."""
CONSTRAINED = frozenset(
    {
        "test_a_constraint_that_fails_fails_its_sequence_only",
        "test_a_limit_cuts_a_constrained_answer",
        "test_a_mask_may_allow_the_end",
        "test_characters_come_whole",
        "test_masks_are_honoured",
    }
)
"""The tests that need a constraint to be honoured."""


class Mutant(EngineContract):
    """Loads the engine that a subclass names."""

    engine_class: type[Engine] = ByteEngine

    @pytest.fixture
    def load(self) -> Callable[[], Engine]:
        return self.engine_class


class Leaking(ByteEngine):
    def cancel(self, sequence_id: int) -> None:
        self._waiting.pop(sequence_id, None)
        self._running.pop(sequence_id, None)


class TestLeaking(Mutant):
    """It keeps the place of a sequence that was cancelled."""

    caught_by = frozenset({"test_cancelled_sequences_leave_room"})
    engine_class = Leaking


class Hoarding(ByteEngine):
    def _end(self, sequence_id: int) -> None:
        del self._running[sequence_id]


class TestHoarding(Mutant):
    """It keeps the place of every sequence."""

    caught_by = frozenset(
        {"test_cancelled_sequences_leave_room", "test_finished_sequences_leave_room"}
    )
    engine_class = Hoarding


class Deaf(ByteEngine):
    def cancel(self, sequence_id: int) -> None:
        pass


class TestDeaf(Mutant):
    """It goes on with sequences that were cancelled."""

    caught_by = frozenset(
        {
            "test_a_cancelled_sequence_says_nothing_more",
            "test_a_queued_sequence_can_be_cancelled",
        }
    )
    engine_class = Deaf


class Forgetting(ByteEngine):
    def cancel(self, sequence_id: int) -> None:
        if sequence_id in self._running:
            self._end(sequence_id)


class TestForgetting(Mutant):
    """It cannot cancel what only waits."""

    caught_by = frozenset({"test_a_queued_sequence_can_be_cancelled"})
    engine_class = Forgetting


class Strict(ByteEngine):
    def cancel(self, sequence_id: int) -> None:
        if sequence_id not in self._waiting | self._running:
            raise KeyError(sequence_id)
        super().cancel(sequence_id)


class TestStrict(Mutant):
    """It raises for a sequence that has ended already."""

    caught_by = frozenset({"test_cancelling_an_unknown_sequence_is_a_no_op"})
    engine_class = Strict


class Endless(ByteEngine):
    def submit(self, job: SequenceJob) -> None:
        super().submit(attrs.evolve(job, max_tokens=job.max_tokens + 1))


class TestEndless(Mutant):
    """It makes one token more than it may."""

    caught_by = COUNTING
    engine_class = Endless


class Trusting(ByteEngine):
    def submit(self, job: SequenceJob) -> None:
        super().submit(attrs.evolve(job, prompt=tuple(token % 256 for token in job.prompt)))


class TestTrusting(Mutant):
    """It believes tokens that there are not."""

    caught_by = frozenset({"test_an_impossible_job_is_refused"})
    engine_class = Trusting


class Repeating(ByteEngine):
    def step(self) -> Sequence[SequenceOutput]:
        outputs = super().step()
        return [*outputs, *(attrs.evolve(item, tokens=()) for item in outputs if item.finish)]


class TestRepeating(Mutant):
    """It reports every end twice."""

    caught_by = frozenset(
        {
            "test_a_sequence_runs_to_one_end",
            "test_finished_sequences_leave_room",
            "test_sequences_run_side_by_side",
        }
    )
    engine_class = Repeating


class Muddled(ByteEngine):
    def step(self) -> Sequence[SequenceOutput]:
        return [
            attrs.evolve(item, prefilled=1) if item.prefilled is not None else item
            for item in super().step()
        ]


class TestMuddled(Mutant):
    """It never says that the whole prompt was read."""

    caught_by = frozenset({"test_outputs_come_in_order", "test_usage_adds_up"})
    engine_class = Muddled


class Unbound(ByteEngine):
    def submit(self, job: SequenceJob) -> None:
        super().submit(attrs.evolve(job, constraint=None))


class TestUnbound(Mutant):
    """It pays no heed to constraints."""

    caught_by = CONSTRAINED
    engine_class = Unbound


class Hasty(ByteEngine):
    def _advance(self, running: Running) -> SequenceOutput:
        output = super()._advance(running)
        constrained = running.job.constraint is not None
        if constrained and output.finish is FinishReason.LENGTH:
            return attrs.evolve(output, finish=FinishReason.STOP)
        return output


class TestHasty(Mutant):
    """It calls a constrained answer complete that a limit has cut."""

    caught_by = frozenset({"test_a_limit_cuts_a_constrained_answer"})
    engine_class = Hasty


class Wordless(ByteEngine):
    def vocabulary(self) -> Vocabulary:
        return Vocabulary([bytes([token]) for token in range(128)], frozenset({0}))


class TestWordless(Mutant):
    """It knows half of its tokens."""

    caught_by = frozenset({"test_the_vocabulary_is_complete", "test_characters_come_whole"})
    engine_class = Wordless


class Textual(ByteEngine):
    def token_bytes(self, token: int) -> bytes:
        return super().token_bytes(token).decode(errors="replace").encode()


class TestTextual(Mutant):
    """It gives tokens as text, so that half a character becomes a question mark."""

    caught_by = frozenset(
        {
            "test_token_bytes_are_the_text",
            "test_the_vocabulary_is_complete",
            "test_characters_come_whole",
        }
    )
    engine_class = Textual


class Unseeded(ByteEngine):
    def submit(self, job: SequenceJob) -> None:
        super().submit(job)
        self._waiting[job.id].draw = random.SystemRandom()


class TestUnseeded(Mutant):
    """It draws without the seed."""

    caught_by = frozenset({"test_a_seed_is_repeatable"})
    engine_class = Unseeded


class Biased(ByteEngine):
    def submit(self, job: SequenceJob) -> None:
        super().submit(attrs.evolve(job, sampling=attrs.evolve(job.sampling, logit_bias=None)))


class TestBiased(Mutant):
    """It drops `logit_bias` in silence."""

    caught_by = frozenset({"test_logit_bias_bans_a_token"})
    engine_class = Biased


class Fragile(ByteEngine):
    def _advance(self, running: Running) -> SequenceOutput:
        output = super()._advance(running)
        if output.error is not None:
            raise output.error
        return output


class TestFragile(Mutant):
    """An error of one sequence ends the step of all."""

    caught_by = frozenset({"test_a_constraint_that_fails_fails_its_sequence_only"})
    engine_class = Fragile
