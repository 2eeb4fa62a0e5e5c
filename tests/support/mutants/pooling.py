"""Engines for embeddings with one fault each; `tools/mutations.py` looks who finds it."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import attrs
import pytest
from counting_engine import CountingEngine

from stoker.engine import Engine, EngineInfo, Mode, PoolingJob, SequenceOutput
from stoker.testing import PoolingContract


class Mutant(PoolingContract):
    """Loads the engine that a subclass names."""

    texts = ("aab", "abc", "ccab")
    engine_class: Callable[[], Engine] = CountingEngine

    @pytest.fixture
    def load(self) -> Callable[[], Engine]:
        return type(self).engine_class


class Chatty(CountingEngine):
    def cancel(self, sequence_id: int) -> None:
        pass


class TestChatty(Mutant):
    """It goes on with texts that were cancelled."""

    caught_by = frozenset({"test_a_cancelled_job_says_nothing", "test_a_step_has_bounds"})
    engine_class = Chatty


class Hasty(CountingEngine):
    def step(self) -> Sequence[SequenceOutput]:
        jobs = sorted(self.jobs.values(), key=lambda job: job.turn)
        return [self._output(self.jobs.pop(job.id)) for job in jobs]


class TestHasty(Mutant):
    """It computes all that there is in one step."""

    caught_by = frozenset({"test_a_step_has_bounds"})
    engine_class = Hasty


class Stubborn(CountingEngine):
    def step(self) -> Sequence[SequenceOutput]:
        return [self._output(self.jobs.pop(next(iter(self.jobs))))] if self.jobs else []


class TestStubborn(Mutant):
    """It goes by the order in which texts came."""

    caught_by = frozenset({"test_lower_turns_go_first"})
    engine_class = Stubborn


class Leaky(CountingEngine):
    def step(self) -> Sequence[SequenceOutput]:
        outputs = super().step()
        return [attrs.evolve(outputs[0], id=output.id) for output in outputs]


class TestLeaky(Mutant):
    """It lets texts that are computed together see each other."""

    caught_by = frozenset({"test_texts_do_not_see_each_other"})
    engine_class = Leaky


class Gullible(CountingEngine):
    def submit_pooling(self, job: PoolingJob) -> None:
        self.jobs[job.id] = job


class TestGullible(Mutant):
    """It believes every text, and every mode."""

    caught_by = frozenset({"test_an_impossible_job_is_refused"})
    engine_class = Gullible


class Boastful(CountingEngine):
    @property
    def info(self) -> EngineInfo:
        return attrs.evolve(super().info, embedding_length=4)


class TestBoastful(Mutant):
    """It says another length of embeddings."""

    caught_by = frozenset({"test_every_text_gets_one_result"})
    engine_class = Boastful


class Unsure(CountingEngine):
    def __init__(self) -> None:
        super().__init__(Mode.RERANK)

    def _output(self, job: PoolingJob) -> SequenceOutput:
        return attrs.evolve(super()._output(job), score=1.5)


class TestUnsure(Mutant):
    """It scores beyond the bounds."""

    caught_by = frozenset({"test_every_text_gets_one_result", "test_texts_do_not_see_each_other"})
    engine_class = Unsure
