"""The kit itself: it accepts a right plugin, and it notices wrong ones."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest
from byte_engine import ByteEngine
from counting_engine import CountingEngine

from stoker.engine import Engine, Mode
from stoker.errors import OverloadedError
from stoker.events import (
    ChoiceFinished,
    Embedding,
    Event,
    Failed,
    Finished,
    FinishReason,
    Loading,
    Prefill,
    Queued,
    Ranking,
    TextDelta,
    ToolCallDelta,
    Usage,
)
from stoker.testing import (
    EngineContract,
    PoolingContract,
    check_events,
    check_pooling_events,
)
from stoker.testing.host import answer_events

FAILED = Failed(OverloadedError("Full.", retry_after_s=1))
FINISHED = Finished(Usage(prompt_tokens=1, completion_tokens=1))
DONE = ChoiceFinished(FinishReason.STOP)
OTHER_DONE = ChoiceFinished(FinishReason.LENGTH, 1)
READ = Prefill(1, 1)


class TestByteEngine(EngineContract):
    @pytest.fixture
    def load(self) -> Callable[[], Engine]:
        """The byte engine."""
        return ByteEngine


class TestCountingEngine(PoolingContract):
    texts = ("aab", "abc", "ccab")

    @pytest.fixture
    def load(self) -> Callable[[], Engine]:
        """The counting engine."""
        return CountingEngine


class TestScoringEngine(PoolingContract):
    texts = ("aab", "abc", "ccab")

    @pytest.fixture
    def load(self) -> Callable[[], Engine]:
        """The counting engine, for ranking only."""
        return lambda: CountingEngine(Mode.RERANK)


VECTOR = Embedding(b"\0\0\0\0")
RANKING = Ranking(())


@pytest.mark.parametrize(
    ("events", "inputs"),
    [
        ([READ, VECTOR, FINISHED], 2),
        ([READ, VECTOR, VECTOR, FINISHED], 2),
        ([VECTOR, READ, FINISHED], 1),
        ([READ, RANKING, FINISHED], 1),
        ([READ, VECTOR, FINISHED], None),
        ([READ, RANKING, RANKING, FINISHED], None),
        ([READ, TextDelta("a"), RANKING, FINISHED], None),
    ],
)
def test_wrong_orders_of_pooling_events_are_noticed(
    events: list[Event], inputs: int | None
) -> None:
    """What is missing, doubled or misplaced is found."""
    with pytest.raises(AssertionError):
        check_pooling_events(events, inputs=inputs)


def test_right_orders_of_pooling_events_pass() -> None:
    """Answers and failures alike."""
    check_pooling_events([READ, VECTOR, FINISHED], inputs=1)
    check_pooling_events([Loading("starting"), READ, RANKING, FINISHED])
    check_pooling_events([READ, VECTOR, FAILED], inputs=2)


def test_a_test_of_the_contract_cannot_be_replaced() -> None:
    """A subclass that switches a promise off is refused where it is defined."""
    with pytest.raises(TypeError, match=r"replaces a test"):

        class Lenient(EngineContract):
            def test_info_describes_the_model(self, engine: Engine) -> None:
                """Promise nothing."""


def test_a_test_cannot_be_replaced_by_another_base() -> None:
    """A mixin that comes first in the bases is no way around the guard."""

    class Lenient:
        def test_info_describes_the_model(self, engine: Engine) -> None:
            """Promise nothing."""

    with pytest.raises(TypeError, match=r"Lenient.test_info_describes_the_model replaces"):

        class Mixed(Lenient, EngineContract):
            pass


def test_a_known_deviation_is_marked() -> None:
    """An xfail mark with a reason lets a test be overridden, so that reports show it."""

    class Honest(EngineContract):
        @pytest.mark.xfail(reason="The toy has no vocabulary.")
        def test_info_describes_the_model(self, engine: Engine) -> None:
            """Fail as expected."""
            super().test_info_describes_the_model(engine)

    assert issubclass(Honest, EngineContract)


def test_a_forgotten_fixture_is_named() -> None:
    """Who forgets a fixture is told which one and what it must be."""
    from stoker.testing.contract import missing_fixture  # noqa: PLC0415

    with pytest.raises(NotImplementedError, match=r"EngineContract must override .*'load'"):
        missing_fixture(EngineContract(), "load", "return a function")


@pytest.mark.parametrize(
    ("events", "n"),
    [
        (answer_events("a", "b"), 1),
        ((Queued(1), Loading("reading"), Queued(0), READ, DONE, FINISHED), 1),
        ((FAILED,), 1),
        ((READ, TextDelta("a"), FAILED), 1),
        ((READ, TextDelta("a", 1), TextDelta("a", 0), DONE, OTHER_DONE, FINISHED), 2),
        (
            (READ, ToolCallDelta(0, "id", "f"), ToolCallDelta(0, arguments="{}"), DONE, FINISHED),
            1,
        ),
    ],
)
def test_right_orders_of_events_pass(events: Sequence[Event], n: int) -> None:
    """What the documentation allows is accepted."""
    check_events(events, n=n)


@pytest.mark.parametrize(
    ("events", "words"),
    [
        ((), "no events"),
        ((READ, DONE), "last event"),
        ((READ, DONE, FINISHED, FINISHED), "not the last"),
        ((READ, Queued(1), DONE, FINISHED), "after the first Prefill"),
        ((TextDelta("a"), READ, DONE, FINISHED), "before the first Prefill"),
        ((READ, DONE, TextDelta("a"), FINISHED), "after its choice"),
        ((READ, DONE, DONE, FINISHED), "after its choice"),
        ((READ, TextDelta("a", 1), DONE, FINISHED), "no choice"),
        ((READ, FINISHED), "have a ChoiceFinished"),
        ((Prefill(2, 1), DONE, FINISHED), "add up"),
        ((READ, ToolCallDelta(0, arguments="{}"), DONE, FINISHED), "come first"),
        ((READ, ToolCallDelta(0, "a", "f"), ToolCallDelta(0, "a", "f"), DONE, FINISHED), "once"),
    ],
)
def test_wrong_orders_of_events_are_named(events: Sequence[Event], words: str) -> None:
    """Each broken rule fails with a sentence about it."""
    with pytest.raises(AssertionError, match=words):
        check_events(events)
