"""The kit itself: it accepts a right plugin, and it notices wrong ones."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NoReturn

import attrs
import msgspec
import pytest
from byte_engine import ByteEngine
from counting_engine import CountingEngine

from stoker.artifact import BundleFile, ModelBundle
from stoker.backend import Availability, BackendSpec
from stoker.digest import Digest
from stoker.engine import Engine, Mode
from stoker.errors import InvalidInputError, LoadError, OverloadedError
from stoker.estimate import DeviceNeed, EstimateMemory, MemoryEstimate
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
from stoker.media_types import Role
from stoker.reference import Reference
from stoker.testing import (
    EngineContract,
    EstimateContract,
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


def careful(bundle: ModelBundle, options: Any) -> MemoryEstimate:
    """An estimate as it should be: the size of the weights, and a byte for each token."""
    try:
        data = bundle.weights[0].read_bytes()
    except OSError as exc:
        raise InvalidInputError("The file is missing.") from exc
    if not data.startswith(b"weights"):
        raise InvalidInputError("The file is no model.")
    return MemoryEstimate(
        needs=lambda length: (DeviceNeed(weights_bytes=len(data), cache_bytes=length),),
        context_length=options.context_length,
        configure=lambda options, length: LengthOptions(length),
    )


class LengthOptions(msgspec.Struct, frozen=True):
    """The options of an estimate."""

    context_length: int | None = None


def stoker_register_backends() -> list[BackendSpec]:
    """As a plugin's module would offer it."""
    return [estimating(careful)]


def estimating(estimate: EstimateMemory) -> BackendSpec:
    """A backend that is nothing but its estimate."""

    def load(*_: Any) -> NoReturn:
        raise LoadError("Nothing to load.")

    return BackendSpec(
        name="careful",
        media_types=(),
        load=load,
        probe=lambda: Availability(available=True, reason="here"),
        options_type=LengthOptions,
        estimate=estimate,
    )


@pytest.fixture
def weights(tmp_path: Path) -> ModelBundle:
    """A model of one file."""
    path = tmp_path / "model"
    path.write_bytes(b"weights" * 10)
    files = (BundleFile(path, Role.WEIGHTS, None),)
    return ModelBundle(Reference.parse("test/model"), Digest.of(b""), files)


class TestCarefulEstimate(EstimateContract):
    plugin_module = "test_kit"
    engine_modules = ("numpy",)

    @pytest.fixture(autouse=True)
    def _path(self, monkeypatch: pytest.MonkeyPatch) -> None:
        paths = (Path(__file__).parent, Path(__file__).parents[1] / "support")
        monkeypatch.setenv("PYTHONPATH", ":".join(map(str, paths)))

    @pytest.fixture
    def backend(self) -> BackendSpec:
        """The careful one."""
        return estimating(careful)

    @pytest.fixture
    def bundle(self, weights: ModelBundle) -> ModelBundle:
        """A model of one file."""
        return weights


def with_needs(*needs: DeviceNeed) -> EstimateMemory:
    """An estimate that is always the same."""
    return lambda bundle, options: attrs.evolve(careful(bundle, options), needs=lambda _: needs)


@pytest.mark.parametrize(
    ("estimate", "test"),
    [
        (with_needs(), EstimateContract.test_every_part_has_a_place),
        (
            with_needs(DeviceNeed(weights_bytes=9, cache_bytes=-1)),
            EstimateContract.test_every_part_has_a_place,
        ),
        (with_needs(DeviceNeed("GPU9", 1)), EstimateContract.test_every_part_has_a_place),
        (with_needs(DeviceNeed(), DeviceNeed()), EstimateContract.test_every_part_has_a_place),
        (with_needs(DeviceNeed("host", 9)), EstimateContract.test_a_longer_context_takes_more),
        (
            lambda bundle, options: attrs.evolve(
                careful(bundle, options), configure=lambda options, length: options
            ),
            EstimateContract.test_the_choice_is_put_into_the_options,
        ),
    ],
)
def test_a_wrong_estimate_is_noticed(
    weights: ModelBundle,
    estimate: EstimateMemory,
    test: Callable[[EstimateContract, BackendSpec, ModelBundle], None],
) -> None:
    """Each way to break the contract fails the test that is about it."""
    with pytest.raises(AssertionError):
        test(EstimateContract(), estimating(estimate), weights)


@pytest.mark.parametrize(
    "test",
    [
        EstimateContract.test_a_broken_file_is_refused,
        EstimateContract.test_a_missing_file_is_refused,
    ],
)
def test_a_trusting_estimate_is_noticed(
    weights: ModelBundle, tmp_path: Path, test: Callable[..., None]
) -> None:
    """Who takes any file for a model is found out."""
    backend = estimating(lambda bundle, options: MemoryEstimate(lambda _: (DeviceNeed(),)))

    with pytest.raises(pytest.fail.Exception):
        test(EstimateContract(), backend, weights, tmp_path)


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
