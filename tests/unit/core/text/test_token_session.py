"""Tests of `stoker.text.token_session`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import Any

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stoker.engine import Vocabulary
from stoker.errors import (
    ContextLengthExceededError,
    InvalidRequestError,
    LoadError,
    StokerError,
    UnsupportedFeatureError,
)
from stoker.events import (
    ChoiceFinished,
    Event,
    Failed,
    Finished,
    FinishReason,
    Prefill,
    TextDelta,
)
from stoker.messages import (
    Author,
    ImagePart,
    Message,
    TextPart,
    Tool,
    ToolChoice,
    ToolChoiceMode,
)
from stoker.request import (
    ChatPrompt,
    Constraint,
    ConstraintKind,
    GenerateRequest,
    TextPrompt,
    TokenPrompt,
)
from stoker.sampling import SamplingParams
from stoker.text.prompt import PromptEncoder
from stoker.text.session import Session, open_session
from stoker.text.token_session import TokenSession

Checked = Callable[..., list[Event]]


def _session(engine: Any) -> TokenSession:
    return TokenSession(engine, PromptEncoder(engine, template_source=engine.info.chat_template))


def _request(prompt: str = "prompt", **fields: Any) -> GenerateRequest:
    return GenerateRequest("ai/scripted", TextPrompt(prompt), **fields)


def _drained(session: Session) -> dict[int, list[Event]]:
    """Step until idle; sort the events by request."""
    streams: dict[int, list[Event]] = {}
    for _ in range(10_000):
        if session.idle:
            return streams
        for request_id, event in session.step():
            streams.setdefault(request_id, []).append(event)
    pytest.fail("the session never gets idle")


def _answered(engine: Any, request: GenerateRequest) -> list[Event]:
    session = _session(engine)
    session.submit(7, request)
    return _drained(session)[7]


def _text(events: Sequence[Event], index: int = 0) -> str:
    return "".join(
        event.text for event in events if isinstance(event, TextDelta) and event.index == index
    )


def _end(events: Sequence[Event], index: int = 0) -> ChoiceFinished:
    (end,) = [
        event for event in events if isinstance(event, ChoiceFinished) and event.index == index
    ]
    return end


def _finished(events: Sequence[Event]) -> Finished:
    assert isinstance(events[-1], Finished)
    return events[-1]


def test_an_answer(scripted_engine: Any, checked_stream: Checked) -> None:
    """Prefill, one delta per step, the choice's end, and usage."""
    events = checked_stream(_answered(scripted_engine(b"Hi!", chunk=4), _request("prompt")))

    finished = _finished(events)
    assert [
        Prefill(0, 6),
        Prefill(4, 6),
        Prefill(6, 6),
        TextDelta("H"),
        TextDelta("i"),
        TextDelta("!"),
        ChoiceFinished(FinishReason.STOP),
    ] == events[:-1]
    assert (6, 3, 0) == (
        finished.usage.prompt_tokens,
        finished.usage.completion_tokens,
        finished.usage.cached_tokens,
    )
    assert finished.timings.prefill_s > 0
    assert finished.timings.decode_s > 0


def test_a_chat(scripted_engine: Any, checked_stream: Checked) -> None:
    """A conversation goes through the template."""
    engine = scripted_engine(b"Hi!")
    prompt = ChatPrompt((Message(Author.USER, (TextPart("Hello"),)),))

    events = checked_stream(_answered(engine, GenerateRequest("m", prompt)))

    assert "Hi!" == _text(events)
    assert 258 == engine.jobs[0].prompt[0]


def test_tokens_of_one_step_are_one_delta(scripted_engine: Any, checked_stream: Checked) -> None:
    """An engine that gives several tokens per step causes no more events."""
    events = checked_stream(_answered(scripted_engine(b"abcdef", tokens_per_step=4), _request()))

    assert ["abcd", "ef"] == [event.text for event in events if isinstance(event, TextDelta)]


def test_an_answer_of_no_tokens(scripted_engine: Any, checked_stream: Checked) -> None:
    """A model may end at once."""
    events = checked_stream(_answered(scripted_engine(b""), _request()))

    assert "" == _text(events)
    assert 0 == _finished(events).usage.completion_tokens
    assert 0.0 == pytest.approx(_finished(events).timings.decode_s, abs=0.01)


def test_half_a_character_at_the_end(scripted_engine: Any, checked_stream: Checked) -> None:
    """What cannot become a character any more is U+FFFD."""
    events = checked_stream(_answered(scripted_engine("a☃".encode()[:-1]), _request()))

    assert "a\ufffd" == _text(events)


def test_cached_tokens_are_the_engines(scripted_engine: Any, checked_stream: Checked) -> None:
    """What the engine reused stands in prefill and usage."""
    events = checked_stream(_answered(scripted_engine(b"a", cached=4, chunk=1), _request()))

    assert [Prefill(0, 6), Prefill(5, 6, 4), Prefill(6, 6, 4)] == events[:3]
    assert 4 == _finished(events).usage.cached_tokens


@pytest.mark.parametrize("tokens_per_step", [1, 3, 100])
def test_stop_string(scripted_engine: Any, checked_stream: Checked, tokens_per_step: int) -> None:
    """The text ends before the stop string, and the engine stops at once."""
    engine = scripted_engine(b"one. STOP two. " + b"x" * 500, tokens_per_step=tokens_per_step)

    events = checked_stream(_answered(engine, _request(stop=("STOP", "zzz"))))

    assert "one. " == _text(events)
    assert ChoiceFinished(FinishReason.STOP, 0, "STOP") == _end(events)
    # Those of the stop string are counted, and none after it.
    assert 9 == _finished(events).usage.completion_tokens
    assert [engine.jobs[0].id] == engine.cancelled
    assert engine.idle


def test_a_stop_string_that_is_certain_only_at_the_end(
    scripted_engine: Any, checked_stream: Checked
) -> None:
    """A match that waits for an earlier one counts when the answer ends by itself."""
    events = checked_stream(_answered(scripted_engine(b"abc"), _request(stop=("abcd", "bc"))))

    assert "a" == _text(events)
    assert ChoiceFinished(FinishReason.STOP, 0, "bc") == _end(events)


def test_held_text_is_shown_at_the_end(scripted_engine: Any, checked_stream: Checked) -> None:
    """What only looked like a stop string belongs to the answer."""
    events = checked_stream(_answered(scripted_engine(b"one ST"), _request(stop=("STOP",))))

    assert "one ST" == _text(events)
    assert ChoiceFinished(FinishReason.STOP) == _end(events)


@pytest.mark.parametrize(("max_tokens", "expected"), [(2, 2), (4, 4), (5, 4), (999, 4), (None, 4)])
def test_max_tokens_and_the_context(
    scripted_engine: Any, checked_stream: Checked, max_tokens: int | None, expected: int
) -> None:
    """The answer is as long as asked for, or as there is room; both end with LENGTH."""
    engine = scripted_engine(b"abcdefgh", context_length=10)

    events = checked_stream(_answered(engine, _request("prompt", max_tokens=max_tokens)))

    assert "abcdefgh"[:expected] == _text(events)
    assert ChoiceFinished(FinishReason.LENGTH) == _end(events)


@pytest.mark.parametrize("length", [10, 11])
def test_a_prompt_must_leave_room(scripted_engine: Any, length: int) -> None:
    """A prompt that fills the context is refused whole, with the figures."""
    session = _session(scripted_engine(context_length=10))

    with pytest.raises(ContextLengthExceededError) as caught:
        session.submit(1, _request("x" * length))

    assert (length, 10) == (caught.value.prompt_tokens, caught.value.context_length)
    assert session.idle


def test_several_choices(scripted_engine: Any, checked_stream: Checked) -> None:
    """Each choice is a sequence; the prompt is counted once."""
    engine = scripted_engine(b"one", b"three", b"", context_length=50)

    events = checked_stream(_answered(engine, _request(n=3)), n=3)

    assert ["one", "three", ""] == [_text(events, index) for index in range(3)]
    assert (6, 8) == (
        _finished(events).usage.prompt_tokens,
        _finished(events).usage.completion_tokens,
    )


def test_choices_have_seeds_of_their_own(scripted_engine: Any) -> None:
    """Choices differ and can be repeated; without a seed the engine draws."""
    engine = scripted_engine(b"x")

    _answered(engine, _request(n=3, sampling=SamplingParams(seed=41)))
    _answered(engine, _request(n=2))

    assert [41, 42, 43, None, None] == [job.sampling.seed for job in engine.jobs]


def test_jobs_are_complete(scripted_engine: Any) -> None:
    """What is unset gets defaults; the rest passes through."""
    engine = scripted_engine(b"x")

    _answered(
        engine,
        _request(sampling=SamplingParams(temperature=0), ignore_end=True, priority=3, max_tokens=9),
    )

    (job,) = engine.jobs
    assert (0, 40, 64) == (
        job.sampling.temperature,
        job.sampling.top_k,
        job.sampling.penalty_window,
    )
    assert (True, 3, 9) == (job.ignore_end, job.priority, job.max_tokens)


def test_logprobs(scripted_engine: Any, checked_stream: Checked) -> None:
    """Tokens are reported once each, with the text that they complete."""
    engine = scripted_engine("a☃b".encode())
    request = _request(sampling=SamplingParams(logprobs=2))

    events = checked_stream(_answered(engine, request))

    deltas = [event for event in events if isinstance(event, TextDelta)]
    assert [("a", b"a"), ("☃", "☃".encode()), ("b", b"b")] == [
        (delta.text, b"".join(item.bytes for item in delta.logprobs)) for delta in deltas
    ]
    assert {2} == {len(item.top) for delta in deltas for item in delta.logprobs}


def test_missing_logprobs_fail_the_request(scripted_engine: Any) -> None:
    """An engine that cannot give them is not covered up."""
    engine = scripted_engine(b"abc", logprobs=False)

    events = _answered(engine, _request(sampling=SamplingParams(logprobs=0)))

    assert isinstance(events[-1], Failed)
    assert isinstance(events[-1].error, UnsupportedFeatureError)
    assert engine.idle


def test_cancelling(scripted_engine: Any) -> None:
    """No event follows, and the engine's sequences are gone; the others go on."""
    engine = scripted_engine(b"a" * 50)
    session = _session(engine)
    session.submit(1, _request(n=2))
    session.submit(2, _request())
    for _ in range(5):
        session.step()

    session.cancel(1)
    session.cancel(1)
    session.cancel(99)

    assert [1, 2] == engine.cancelled
    assert {2} == set(_drained(session))


def test_cancelling_before_the_first_step(scripted_engine: Any) -> None:
    """Not even the acceptance is told."""
    session = _session(scripted_engine(b"a"))
    session.submit(1, _request())

    session.cancel(1)

    assert session.idle
    assert [] == session.step()


def test_an_id_is_free_after_the_end(scripted_engine: Any) -> None:
    """An id in use is refused; a finished one can be used again."""
    session = _session(scripted_engine(b"a"))
    session.submit(1, _request())
    with pytest.raises(InvalidRequestError):
        session.submit(1, _request())
    _drained(session)

    session.submit(1, _request())

    assert "a" == _text(_drained(session)[1])


def test_a_failing_sequence_fails_its_request_only(
    scripted_engine: Any, checked_stream: Checked
) -> None:
    """The request's other choices are cancelled, and no other request notices."""
    error = LoadError("The cache is full.")
    engine = scripted_engine([97, error], b"bbbbbbbb", b"cccc")
    session = _session(engine)
    session.submit(1, _request(n=2))
    session.submit(2, _request())

    streams = _drained(session)

    assert Failed(error) == checked_stream(streams[1])[-1]
    assert [engine.jobs[0].id, engine.jobs[1].id] == engine.cancelled
    assert "cccc" == _text(checked_stream(streams[2]))


def test_a_refused_job_queues_nothing(scripted_engine: Any) -> None:
    """When the engine refuses a later choice, the earlier ones are taken back."""
    engine = scripted_engine(b"x", refuse_job=2)
    session = _session(engine)

    with pytest.raises(InvalidRequestError, match="refuses"):
        session.submit(1, _request(n=3))

    assert [1, 2] == engine.cancelled
    assert session.idle


def test_a_broken_engine_raises(scripted_engine: Any) -> None:
    """What the engine's step raises goes to the runner as it is."""
    engine = scripted_engine(b"x")
    session = _session(engine)
    session.submit(1, _request())
    engine.broken = True

    with pytest.raises(RuntimeError, match="broken"):
        session.step()


def test_closing(scripted_engine: Any) -> None:
    """The engine is closed with requests running."""
    engine = scripted_engine(b"x")
    session = _session(engine)
    session.submit(1, _request())

    session.close()

    assert engine.closed


def test_a_step_without_requests(scripted_engine: Any) -> None:
    """There is nothing to tell."""
    session = _session(scripted_engine())

    assert session.idle
    assert [] == session.step()
    assert 260 == session.info.vocabulary_size


def _chat(**fields: Any) -> ChatPrompt:
    return ChatPrompt((Message(Author.USER, (TextPart("hi"),)),), **fields)


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"adapters": ("lora",)}, "adapters"),
        (
            {"prompt": ChatPrompt((Message(Author.USER, (ImagePart(b"", "image/png"),)),))},
            "messages",
        ),
    ],
)
def test_what_is_not_supported_is_refused(
    scripted_engine: Any, fields: dict[str, Any], param: str
) -> None:
    """Each feature is refused by name, and nothing is queued."""
    session = _session(scripted_engine())
    request = GenerateRequest(**{"model": "m", "prompt": TextPrompt("x"), **fields})

    with pytest.raises(UnsupportedFeatureError) as caught:
        session.submit(1, request)

    assert param == caught.value.param
    assert session.idle


def test_an_empty_conversation_is_refused(scripted_engine: Any) -> None:
    """There is nothing to answer."""
    with pytest.raises(InvalidRequestError, match="empty") as caught:
        _session(scripted_engine()).submit(1, GenerateRequest("m", ChatPrompt(())))

    assert "messages" == caught.value.param


def test_tools_that_must_not_be_called_are_fine(scripted_engine: Any) -> None:
    """Tool choice "none" makes a conversation without tools."""
    prompt = _chat(tools=(Tool("f"),), tool_choice=ToolChoice(ToolChoiceMode.NONE))

    assert "x" == _text(_answered(scripted_engine(b"x"), GenerateRequest("m", prompt)))


def test_a_prompt_of_tokens(scripted_engine: Any) -> None:
    """Token ids reach the engine as they are."""
    engine = scripted_engine(b"x")

    _answered(engine, GenerateRequest("m", TokenPrompt((1, 2))))

    assert (1, 2) == engine.jobs[0].prompt


def test_open_session(scripted_engine: Any, make_bundle: Any) -> None:
    """The session of an engine uses the bundle's template."""
    engine = scripted_engine(b"x")
    session = open_session(engine, make_bundle(chat_template=b"T{{ messages[0].content }}"))

    session.submit(1, GenerateRequest("m", _chat()))

    assert isinstance(session, TokenSession)
    assert tuple(b"Thi") == engine.jobs[0].prompt


_SCRIPT = st.one_of(
    st.binary(max_size=12),
    st.text("ab☃", max_size=8).map(str.encode),
    st.just([97, 98, StokerError("broken")]),
)
_PLAN = st.fixed_dictionaries(
    {
        "n": st.integers(1, 3),
        "stop": st.lists(st.text("ab☃", min_size=1, max_size=3), max_size=2).map(tuple),
        "max_tokens": st.none() | st.integers(1, 8),
        "sampling": st.sampled_from([SamplingParams(), SamplingParams(logprobs=1)]),
    }
)


@given(
    scripts=st.lists(_SCRIPT, min_size=1, max_size=4),
    plans=st.lists(_PLAN, min_size=1, max_size=4),
    tokens_per_step=st.integers(1, 4),
    cancelled=st.sets(st.integers(0, 3)),
    steps_before=st.integers(0, 6),
)
def test_every_stream_keeps_the_order(
    *,
    scripted_engine: Any,
    checked_stream: Checked,
    scripts: list[Any],
    plans: list[dict[str, Any]],
    tokens_per_step: int,
    cancelled: set[int],
    steps_before: int,
) -> None:
    """Whatever is asked, answered and cancelled, streams are whole and the engine ends idle."""
    engine = scripted_engine(*scripts, tokens_per_step=tokens_per_step, chunk=3)
    session = _session(engine)
    streams: dict[int, list[Event]] = {}
    for request_id, plan in enumerate(plans):
        session.submit(request_id, _request(**plan))
    for _ in range(steps_before):
        for request_id, event in session.step():
            streams.setdefault(request_id, []).append(event)
    for request_id in cancelled:
        session.cancel(request_id)
    lengths = {request_id: len(streams.get(request_id, [])) for request_id in cancelled}
    for request_id, events in _drained(session).items():
        streams.setdefault(request_id, []).extend(events)

    first_job = 0
    for request_id, plan in enumerate(plans):
        jobs = engine.jobs[first_job : first_job + plan["n"]]
        first_job += plan["n"]
        events = streams.get(request_id, [])
        if request_id in cancelled:
            assert lengths[request_id] == len(events)
            continue
        checked_stream(events, n=plan["n"])
        if isinstance(events[-1], Failed):
            continue
        assert len(jobs) == plan["n"]
        assert _finished(events).usage.completion_tokens <= plan["n"] * (plan["max_tokens"] or 24)
    assert engine.idle
    assert session.idle
    assert {} == session._sequences
    assert {} == session._requests


def test_each_choice_gets_a_constraint_of_its_own(scripted_engine: Any) -> None:
    """The engine gets what it needs to make masks, once per sequence."""
    engine = scripted_engine(b"yes")
    engine.vocabulary = lambda: Vocabulary(
        [bytes([token]) if token < 256 else b"" for token in range(260)], frozenset({257})
    )
    session = _session(engine)
    wanted = Constraint(ConstraintKind.CHOICE, '["yes"]')
    session.submit(1, attrs.evolve(_request(), n=2, constraint=wanted))
    while not engine.jobs:
        session.step()

    first, second = [job.constraint for job in engine.jobs]
    assert first.mask() == second.mask()
    assert first is not second
    session.close()


def test_a_constraint_that_cannot_be_honoured_leaves_nothing_behind(scripted_engine: Any) -> None:
    """It fails before anything is queued: no event comes before."""
    engine = scripted_engine(b"yes")
    engine.vocabulary = lambda: Vocabulary([b"a"] * 259 + [b""], frozenset({259}))
    session = _session(engine)
    wanted = Constraint(ConstraintKind.JSON_SCHEMA, '{"not": {}}', "response_format")

    session.submit(1, attrs.evolve(_request(), constraint=wanted))
    ((request_id, failed),) = _until_idle(session)

    assert 1 == request_id
    assert isinstance(failed, Failed)
    assert isinstance(failed.error, InvalidRequestError)
    assert "response_format" == failed.error.param
    assert "not" in str(failed.error)
    assert [] == engine.jobs
    session.close()


def test_an_engine_without_masks_refuses_constraints(scripted_engine: Any) -> None:
    """The field is named, and nothing is queued."""
    engine = scripted_engine()
    session = _session(engine)
    wanted = Constraint(ConstraintKind.JSON_OBJECT, param="grammar")
    session.submit(1, attrs.evolve(_request(), constraint=wanted))

    ((_, failed),) = _until_idle(session)

    assert isinstance(failed.error, UnsupportedFeatureError)
    assert "grammar" == failed.error.param
    assert [] == engine.jobs
    session.close()


class SlowCompiler:
    """Compiles when the test says so."""

    def __init__(self) -> None:
        self.grammar: Future[Any] = Future()

    def compile(self, constraint: Constraint) -> Future[Any]:
        return self.grammar

    def close(self) -> None:
        pass


class Unconstrained:
    """A grammar of which the scripted engine takes no notice."""

    def begin(self, param: str) -> None:
        return None


def _until_idle(session: TokenSession) -> list[tuple[int, Any]]:
    events = []
    while not session.idle:
        events += session.step()
    return events


def test_others_go_on_while_a_grammar_is_compiled(scripted_engine: Any) -> None:
    """A request waits for its own grammar only, and starts when it is there."""
    engine = scripted_engine(b"yes")
    session = _session(engine)
    session._constraints.close()
    compiler = session._constraints = SlowCompiler()
    wanted = Constraint(ConstraintKind.CHOICE, '["yes"]')
    session.submit(1, attrs.evolve(_request(), constraint=wanted))
    session.submit(2, _request())
    events = []
    while not any(isinstance(event, Finished) for _, event in events):
        events += session.step()

    assert {2} == {request_id for request_id, _ in events}
    assert not session.idle
    assert 1 == len(engine.jobs)

    compiler.grammar.set_result(Unconstrained())
    events = _until_idle(session)

    assert {1} == {request_id for request_id, _ in events}
    assert 2 == len(engine.jobs)
    session.close()


def test_cancelled_while_its_grammar_is_compiled(scripted_engine: Any) -> None:
    """Nothing follows, and the engine never hears of it."""
    engine = scripted_engine(b"yes")
    session = _session(engine)
    session._constraints.close()
    compiler = session._constraints = SlowCompiler()
    wanted = Constraint(ConstraintKind.CHOICE, '["yes"]')
    session.submit(1, attrs.evolve(_request(), constraint=wanted))
    with pytest.raises(InvalidRequestError, match="in use"):
        session.submit(1, _request())

    session.cancel(1)

    assert session.idle
    assert [] == session.step()
    assert compiler.grammar.cancelled()
    assert [] == engine.jobs
    session.close()


def test_a_fault_while_compiling_fails_its_request_only(scripted_engine: Any) -> None:
    """What nobody expected is an error of the request and not of the engine."""
    session = _session(scripted_engine(b"yes"))
    session._constraints.close()
    compiler = session._constraints = SlowCompiler()
    wanted = Constraint(ConstraintKind.CHOICE, '["yes"]')
    session.submit(1, attrs.evolve(_request(), constraint=wanted))
    compiler.grammar.set_exception(RuntimeError("no grammar today"))

    ((_, failed),) = _until_idle(session)

    assert "no grammar today" in str(failed.error)
    session.close()


def test_a_constraint_has_an_end(scripted_engine: Any) -> None:
    """A constraint says where the answer ends, so the end cannot be ignored."""
    session = _session(scripted_engine())
    wanted = Constraint(ConstraintKind.JSON_OBJECT, param="grammar")

    with pytest.raises(InvalidRequestError, match="cannot be ignored") as caught:
        session.submit(1, attrs.evolve(_request(), constraint=wanted, ignore_end=True))

    assert "grammar" == caught.value.param
