"""The kit itself: it accepts a right plugin, and it notices wrong ones."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NoReturn

import attrs
import msgspec
import pytest
from counting_engine import CountingEngine

from stoker.artifact import BundleFile, ModelBundle
from stoker.backend import Availability, BackendSpec
from stoker.digest import Digest
from stoker.engine import (
    Engine,
    EngineInfo,
    Mode,
    PoolingJob,
    SampledToken,
    SequenceJob,
    SequenceOutput,
    Vocabulary,
)
from stoker.errors import (
    InvalidInputError,
    InvalidRequestError,
    LoadError,
    OverloadedError,
    StokerError,
)
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


@attrs.define
class Running:
    """A sequence inside the byte engine."""

    job: SequenceJob
    draw: random.Random
    prefilled: int = 0
    sampled: int = 0


class ByteEngine(Engine):
    """An engine whose tokens are bytes and whose model is a rule: the next byte follows the last.

    It reads two tokens of a prompt and makes one token of each answer per step. The byte 0 is its
    end token, which it only makes where a constraint allows nothing else.
    """

    def __init__(self) -> None:
        self._running: dict[int, Running] = {}

    @property
    def info(self) -> EngineInfo:
        """256 tokens."""
        return EngineInfo(context_length=4096, vocabulary_size=256)

    def encode(self, text: str, *, add_special: bool, parse_special: bool) -> list[int]:
        """Bytes are tokens."""
        return list(text.encode())

    def token_bytes(self, token: int) -> bytes:
        """Tokens are bytes."""
        if not 0 <= token < 256:
            raise IndexError(token)
        return bytes([token])

    def vocabulary(self) -> Vocabulary | None:
        """All bytes."""
        return Vocabulary([bytes([token]) for token in range(256)], frozenset({0}))

    def submit(self, job: SequenceJob) -> None:
        """Queue a sequence."""
        if not all(0 <= token < 256 for token in job.prompt):
            raise InvalidRequestError("The prompt has tokens that do not exist.", param="prompt")
        self._running[job.id] = Running(job, random.Random(job.sampling.seed))

    def cancel(self, sequence_id: int) -> None:
        """Forget a sequence."""
        self._running.pop(sequence_id, None)

    def step(self) -> Sequence[SequenceOutput]:
        """Read two tokens or make one."""
        return [self._advance(running) for running in list(self._running.values())]

    def _advance(self, running: Running) -> SequenceOutput:
        job = running.job
        if running.prefilled < len(job.prompt):
            running.prefilled = min(running.prefilled + 2, len(job.prompt))
            return SequenceOutput(job.id, prefilled=running.prefilled)
        running.sampled += 1
        best = (job.prompt[-1] + running.sampled) % 256
        token = running.draw.randrange(256) if job.sampling.temperature else best
        if (job.sampling.logit_bias or {}).get(token, 0) <= -100:
            token = (token + 1) % 256
        complete = False
        if job.constraint is not None:
            try:
                mask = job.constraint.mask()
            except StokerError as exc:
                del self._running[job.id]
                return SequenceOutput(job.id, error=exc)
            allowed = [other for other in range(len(mask) * 8) if mask[other // 8] >> other % 8 & 1]
            token = min(allowed, key=lambda other: (other - token) % 256)
            if token == 0:
                del self._running[job.id]
                return SequenceOutput(job.id, finish=FinishReason.STOP)
            complete = job.constraint.accept(token)
        sampled = SampledToken(token)
        if job.sampling.logprobs is not None:
            top = tuple((token + place, -0.1 - place) for place in range(job.sampling.logprobs))
            sampled = SampledToken(token, -0.1, top)
        finish = FinishReason.LENGTH if running.sampled == job.max_tokens else None
        if complete:
            finish = FinishReason.STOP
        if finish:
            del self._running[job.id]
        return SequenceOutput(job.id, tokens=(sampled,), finish=finish)

    @property
    def idle(self) -> bool:
        """Whether nothing runs."""
        return not self._running

    def close(self) -> None:
        """Forget everything."""
        self._running.clear()


class TestByteEngine(EngineContract):
    @pytest.fixture
    def load(self) -> Callable[[], Engine]:
        """The byte engine."""
        return ByteEngine


class Deaf(ByteEngine):
    """Goes on with sequences that were cancelled."""

    def cancel(self, sequence_id: int) -> None:
        """Do nothing."""


class Endless(ByteEngine):
    """Takes one token more than it may."""

    def submit(self, job: SequenceJob) -> None:
        """Queue too long a sequence."""
        super().submit(attrs.evolve(job, max_tokens=job.max_tokens + 1))


class Trusting(ByteEngine):
    """Believes every token."""

    def submit(self, job: SequenceJob) -> None:
        """Queue anything."""
        super().submit(attrs.evolve(job, prompt=tuple(token % 256 for token in job.prompt)))


class Repeating(ByteEngine):
    """Sends every end twice."""

    def step(self) -> Sequence[SequenceOutput]:
        """Double the ends."""
        outputs = super().step()
        return [*outputs, *(output for output in outputs if output.finish)]


class Forgetful(ByteEngine):
    """Mixes up what was read and what was made."""

    def step(self) -> Sequence[SequenceOutput]:
        """Claim to be reading always."""
        return [attrs.evolve(output, prefilled=1) for output in super().step()]


class Unbound(ByteEngine):
    """Pays no heed to constraints."""

    def submit(self, job: SequenceJob) -> None:
        """Queue without the constraint."""
        super().submit(attrs.evolve(job, constraint=None))


class Wordless(ByteEngine):
    """Knows half of its tokens."""

    def vocabulary(self) -> Vocabulary:
        """Half of the bytes."""
        return Vocabulary([bytes([token]) for token in range(128)], frozenset({0}))


@pytest.mark.parametrize(
    ("engine", "test"),
    [
        (Deaf, EngineContract.test_a_cancelled_sequence_says_nothing_more),
        (Deaf, EngineContract.test_a_queued_sequence_can_be_cancelled),
        (Endless, EngineContract.test_max_tokens_is_exact),
        (Trusting, EngineContract.test_an_impossible_job_is_refused),
        (Repeating, EngineContract.test_a_sequence_runs_to_one_end),
        (Repeating, EngineContract.test_sequences_run_side_by_side),
        (Forgetful, EngineContract.test_outputs_come_in_order),
        (Unbound, EngineContract.test_a_limit_cuts_a_constrained_answer),
        (Unbound, EngineContract.test_a_mask_may_allow_the_end),
        (Unbound, EngineContract.test_a_constraint_that_fails_fails_its_sequence_only),
        (Wordless, EngineContract.test_the_vocabulary_is_complete),
    ],
)
def test_a_wrong_engine_is_noticed(
    engine: type[Engine], test: Callable[[EngineContract, Engine], None]
) -> None:
    """Each way to break the contract fails the test that is about it."""
    with pytest.raises((AssertionError, pytest.fail.Exception)):
        test(EngineContract(), engine())


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


class Chatty(CountingEngine):
    """Goes on with texts that were cancelled."""

    def cancel(self, sequence_id: int) -> None:
        """Do nothing."""


class Hasty(CountingEngine):
    """Computes all that there is in one step, in the order in which it came."""

    def step(self) -> Sequence[SequenceOutput]:
        """Take everything."""
        return [self._output(self.jobs.pop(job_id)) for job_id in list(self.jobs)]


class Stubborn(CountingEngine):
    """Goes by the order in which texts came."""

    def step(self) -> Sequence[SequenceOutput]:
        """Take the first one."""
        return [self._output(self.jobs.pop(next(iter(self.jobs))))] if self.jobs else []


class Leaky(CountingEngine):
    """Lets texts that are computed together see each other."""

    def step(self) -> Sequence[SequenceOutput]:
        """Give every text the result of the first."""
        outputs = super().step()
        return [attrs.evolve(outputs[0], id=output.id) for output in outputs]


class Gullible(CountingEngine):
    """Believes every text."""

    def submit_pooling(self, job: PoolingJob) -> None:
        """Queue anything."""
        self.jobs[job.id] = job


class Boastful(CountingEngine):
    """Says another length of embeddings."""

    @property
    def info(self) -> EngineInfo:
        """Claim four numbers."""
        return attrs.evolve(super().info, embedding_length=4)


class Unsure(CountingEngine):
    """Scores beyond the bounds."""

    def __init__(self) -> None:
        super().__init__(Mode.RERANK)

    def _output(self, job: PoolingJob) -> SequenceOutput:
        return SequenceOutput(job.id, score=1.5)


@pytest.mark.parametrize(
    ("engine", "test"),
    [
        (Chatty, PoolingContract.test_a_cancelled_job_says_nothing),
        (Hasty, PoolingContract.test_a_step_has_bounds),
        (Stubborn, PoolingContract.test_lower_turns_go_first),
        (Leaky, PoolingContract.test_texts_do_not_see_each_other),
        (Gullible, PoolingContract.test_an_impossible_job_is_refused),
        (Boastful, PoolingContract.test_every_text_gets_one_result),
        (Unsure, PoolingContract.test_every_text_gets_one_result),
    ],
)
def test_a_wrong_pooling_engine_is_noticed(
    engine: type[Engine], test: Callable[[PoolingContract, Engine], None]
) -> None:
    """Each way to break the contract fails the test that is about it."""
    contract = PoolingContract()
    contract.texts = TestCountingEngine.texts

    with pytest.raises((AssertionError, pytest.fail.Exception)):
        test(contract, engine())


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
    with pytest.raises(TypeError, match="replaces a test"):

        class Lenient(EngineContract):
            def test_info_describes_the_model(self, engine: Engine) -> None:
                """Promise nothing."""


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
