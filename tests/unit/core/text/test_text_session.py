"""Tests of `stoker.text.text_session`."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from typing import Any

import attrs
import pytest

from stoker.engine import EngineInfo, TextEngine
from stoker.errors import InvalidRequestError, StokerError, UnsupportedFeatureError
from stoker.events import (
    ChoiceFinished,
    Event,
    Failed,
    Finished,
    FinishReason,
    Prefill,
    TextDelta,
    Usage,
)
from stoker.messages import Author, Message, TextPart
from stoker.request import (
    ChatPrompt,
    Constraint,
    ConstraintKind,
    EmbedRequest,
    GenerateRequest,
    Request,
    RerankRequest,
    TextPrompt,
)
from stoker.sampling import SamplingParams
from stoker.text.session import open_session
from stoker.text.text_session import TextSession

Checked = Callable[..., list[Event]]


class Speaker(TextEngine):
    """Says scripted pieces; an exception among them is raised."""

    def __init__(self, *scripts: list[Any]) -> None:
        self.scripts = scripts
        self.open = 0
        self.closed = False
        self.asked: list[tuple[str, int]] = []

    @property
    def info(self) -> EngineInfo:
        return EngineInfo(context_length=100, vocabulary_size=0)

    def generate(self, request: GenerateRequest, *, index: int) -> Iterator[str]:
        script = self.scripts[len(self.asked) % len(self.scripts)]
        self.asked.append((request.model, index))
        return self._speak(script)

    def _speak(self, script: list[Any]) -> Iterator[str]:
        self.open += 1
        try:
            for piece in script:
                if isinstance(piece, Exception):
                    raise piece
                yield piece
        finally:
            self.open -= 1

    def close(self) -> None:
        self.closed = True


def _request(**fields: Any) -> GenerateRequest:
    return GenerateRequest("ai/speaker", TextPrompt("x"), **fields)


def _drained(session: TextSession) -> dict[int, list[Event]]:
    streams: dict[int, list[Event]] = {}
    while not session.idle:
        for request_id, event in session.step():
            streams.setdefault(request_id, []).append(event)
    return streams


def _answered(engine: TextEngine, **fields: Any) -> list[Event]:
    session = TextSession(engine)
    session.submit(1, _request(**fields))
    return _drained(session)[1]


def test_an_answer(checked_stream: Checked) -> None:
    """A piece is a step, a delta and a token; an empty one is a token only."""
    events = checked_stream(_answered(Speaker(["Hel", "", "lo"])))

    assert [
        Prefill(0, 0),
        TextDelta("Hel"),
        TextDelta("lo"),
        ChoiceFinished(FinishReason.STOP),
    ] == events[:-1]
    assert isinstance(events[-1], Finished)
    assert Usage(prompt_tokens=0, completion_tokens=3) == events[-1].usage


def test_choices_take_turns(checked_stream: Checked) -> None:
    """A step takes one piece of every choice."""
    engine = Speaker(["a", "b"], ["c"])

    events = checked_stream(_answered(engine, n=2), n=2)

    assert [
        TextDelta("a", 0),
        TextDelta("c", 1),
        TextDelta("b", 0),
        ChoiceFinished(FinishReason.STOP, 1),
        ChoiceFinished(FinishReason.STOP, 0),
    ] == events[1:-1]
    assert [("ai/speaker", 0), ("ai/speaker", 1)] == engine.asked


def test_requests_take_turns() -> None:
    """A step takes one piece of every request."""
    session = TextSession(Speaker(["a", "b"]))
    session.submit(1, _request())
    session.submit(2, _request())

    assert [1, 1, 2, 2] == [request_id for request_id, _ in session.step()]


def test_max_tokens_counts_pieces(checked_stream: Checked) -> None:
    """The iterator is closed when the answer is long enough."""
    engine = Speaker(["a", "b", "c"])

    events = checked_stream(_answered(engine, max_tokens=2))

    assert [TextDelta("a"), TextDelta("b"), ChoiceFinished(FinishReason.LENGTH)] == events[1:-1]
    assert 0 == engine.open


def test_stop_strings_across_pieces(checked_stream: Checked) -> None:
    """The text ends before the stop string, and the iterator is closed."""
    engine = Speaker(["one ST", "OP two", "three"])

    events = checked_stream(_answered(engine, stop=("STOP",)))

    assert [TextDelta("one "), ChoiceFinished(FinishReason.STOP, 0, "STOP")] == events[1:-1]
    assert 0 == engine.open


@pytest.mark.parametrize("max_tokens", [None, 1])
def test_held_text_is_shown_at_the_end(checked_stream: Checked, max_tokens: int | None) -> None:
    """What only looked like a stop string belongs to the answer."""
    events = checked_stream(_answered(Speaker(["one ST"]), stop=("STOP",), max_tokens=max_tokens))

    assert "one ST" == "".join(event.text for event in events if isinstance(event, TextDelta))


@pytest.mark.parametrize("error", [ValueError("no"), StokerError("No.")])
def test_a_failing_iterator_fails_its_request_only(
    checked_stream: Checked, error: Exception
) -> None:
    """The request's other iterators are closed, and no other request notices."""
    engine = Speaker(["a", error], ["b", "b", "b"], ["c", "c", "c"])
    session = TextSession(engine)
    session.submit(1, _request(n=2))
    session.submit(2, _request())

    streams = _drained(session)

    failed = checked_stream(streams[1])[-1]
    assert isinstance(failed, Failed)
    assert ("No." if isinstance(error, StokerError) else "The engine failed: ValueError: no.") == (
        failed.error.message
    )
    assert "ccc" == "".join(e.text for e in checked_stream(streams[2]) if isinstance(e, TextDelta))
    assert 0 == engine.open


def test_a_refusal_comes_before_the_first_prefill() -> None:
    """An engine that refuses with its first piece has accepted nothing."""
    error = InvalidRequestError("I do not like it.")

    assert [Failed(error)] == _answered(Speaker([error]))


class Refusing(Speaker):
    """Refuses the second choice when it is asked."""

    def generate(self, request: GenerateRequest, *, index: int) -> Iterator[str]:
        if index == 1:
            raise InvalidRequestError("One is enough.", param="n")
        return super().generate(request, index=index)


def test_a_refusal_at_once_queues_nothing() -> None:
    """What `generate` itself raises goes to the caller."""
    session = TextSession(Refusing(["a"]))

    with pytest.raises(InvalidRequestError, match="enough"):
        session.submit(1, _request(n=2))

    assert session.idle


def test_cancelling() -> None:
    """The iterators are closed, no event follows, and the other request goes on."""
    engine = Speaker(["a", "b"])
    session = TextSession(engine)
    session.submit(1, _request(n=2))
    session.submit(2, _request())
    session.step()

    session.cancel(1)
    session.cancel(1)
    session.cancel(99)

    assert 1 == engine.open
    assert {2} == set(_drained(session))


class Stubborn(Speaker):
    """Its iterators fail when they are closed, or cannot be."""

    def generate(self, request: GenerateRequest, *, index: int) -> Iterator[str]:
        return self._stubborn() if index == 0 else iter(["a", "b"])

    def _stubborn(self) -> Iterator[str]:
        try:
            yield "a"
            yield "b"
        finally:
            raise ValueError("no")


def test_an_iterator_that_fails_to_close(caplog: pytest.LogCaptureFixture) -> None:
    """It is logged, and stops nothing."""
    session = TextSession(Stubborn())
    session.submit(1, _request(n=2))
    session.step()

    with caplog.at_level(logging.WARNING):
        session.cancel(1)

    assert session.idle
    assert "failed while it was closed" in caplog.text


def test_logprobs_are_refused() -> None:
    """Text has no probabilities."""
    session = TextSession(Speaker(["a"]))

    with pytest.raises(UnsupportedFeatureError) as caught:
        session.submit(1, _request(sampling=SamplingParams(logprobs=0)))

    assert "logprobs" == caught.value.param


def test_constraints_are_refused() -> None:
    """Text has no tokens to mask; the field is named that asked for it."""
    session = TextSession(Speaker(["a"]))
    constraint = Constraint(ConstraintKind.JSON_OBJECT, param="response_format")

    with pytest.raises(UnsupportedFeatureError, match="cannot constrain") as caught:
        session.submit(1, _request(constraint=constraint))

    assert "response_format" == caught.value.param


@pytest.mark.parametrize(
    ("prompt", "param"),
    [
        (TextPrompt("a", "c"), "suffix"),
        (
            ChatPrompt(
                (Message(Author.ASSISTANT, (TextPart("One"),)),), continue_final_message=True
            ),
            "messages",
        ),
    ],
)
def test_what_text_engines_know_nothing_of_is_refused(prompt: Any, param: str) -> None:
    """They would take a gap's suffix, or a begun answer, for something else."""
    with pytest.raises(UnsupportedFeatureError) as caught:
        TextSession(Speaker(["a"])).submit(1, attrs.evolve(_request(), prompt=prompt))

    assert param == caught.value.param


def test_an_id_in_use_is_refused() -> None:
    """Ids are unique among the requests that are not answered yet."""
    session = TextSession(Speaker(["a"]))
    session.submit(1, _request())

    with pytest.raises(InvalidRequestError):
        session.submit(1, _request())


def test_closing() -> None:
    """The iterators are closed, and then the engine."""
    engine = Speaker(["a", "b"])
    session = TextSession(engine)
    session.submit(1, _request())
    session.step()

    session.close()

    assert (True, 0) == (engine.closed, engine.open)


def test_open_session(make_bundle: Any) -> None:
    """A text engine gets a session of its own kind."""
    session = open_session(Speaker(["a"]), make_bundle())

    assert isinstance(session, TextSession)
    assert 100 == session.info.context_length


@pytest.mark.parametrize(
    "request_",
    [EmbedRequest("m", (TextPrompt("a"),)), RerankRequest("m", "q", ("a",))],
    ids=["embed", "rerank"],
)
def test_only_texts_are_answered(request_: Request) -> None:
    """Embeddings and ranking are refused: the contract of text engines has no place for them."""
    with pytest.raises(UnsupportedFeatureError, match="m generates text"):
        TextSession(Speaker([])).submit(1, request_)
