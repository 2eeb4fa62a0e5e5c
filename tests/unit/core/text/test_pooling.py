"""Requests for embeddings and for ranking, over an engine that counts."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import attrs
import pytest
from counting_engine import BATCH, CountingEngine
from hypothesis import given
from hypothesis import strategies as st

from stoker.artifact import ModelBundle
from stoker.digest import Digest
from stoker.engine import Mode
from stoker.errors import ContextLengthExceededError, InvalidRequestError, UnsupportedFeatureError
from stoker.events import Embedding, Event, Failed, Finished, Prefill, Ranking, Relevance
from stoker.reference import Reference
from stoker.request import (
    EmbedRequest,
    GenerateRequest,
    Request,
    RerankRequest,
    TextPrompt,
    TokenPrompt,
)
from stoker.testing import check_pooling_events
from stoker.text.session import Session, open_session
from stoker.text.vector import floats

Open = Callable[..., Session]


@pytest.fixture
def open_with(make_bundle: Any) -> Open:
    """Opens a session over an engine."""
    return lambda engine: open_session(engine, make_bundle())


def embed(*texts: str, **fields: Any) -> EmbedRequest:
    return EmbedRequest("m", tuple(map(TextPrompt, texts)), **fields)


def run(session: Session, steps: int = 1000) -> list[tuple[int, Event]]:
    events = []
    for _ in range(steps):
        if session.idle:
            break
        events += session.step()
    return events


def answer(session: Session, request: Request) -> list[Event]:
    session.submit(1, request)
    return [event for _, event in run(session)]


def vectors(events: list[Event]) -> dict[int, list[float]]:
    return {
        event.index: list(floats(event.vector)) for event in events if isinstance(event, Embedding)
    }


def test_every_input_gets_its_vector(open_with: Open) -> None:
    """Vectors have the length 1, and usage counts all tokens, special ones included."""
    events = answer(open_with(CountingEngine()), embed("aab", "c"))

    check_pooling_events(events, inputs=2)
    assert [2 / math.sqrt(5), 1 / math.sqrt(5), 0] == pytest.approx(vectors(events)[0])
    assert [0, 0, 1] == vectors(events)[1]
    assert Prefill(0, 8) == events[0]
    assert isinstance(events[-1], Finished)
    assert (8, 0) == (events[-1].usage.prompt_tokens, events[-1].usage.completion_tokens)


def test_vectors_may_stay_as_they_are(open_with: Open) -> None:
    """Without `normalize` the model's own numbers come."""
    session = open_with(CountingEngine())

    assert {0: [2, 1, 0]} == vectors(answer(session, embed("aab", normalize=False)))
    assert {0: [2, 1, 0]} == vectors(answer(session, embed("aab", normalize=False, dimensions=3)))


def test_dimensions_keep_the_first_numbers(open_with: Open) -> None:
    """Where a model is trained for it, they are scaled to the length 1 afterwards."""
    session = open_with(CountingEngine(matryoshka=True))

    assert {0: [2, 1]} == vectors(answer(session, embed("aab", normalize=False, dimensions=2)))
    assert {0: [1]} == vectors(answer(session, embed("aab", dimensions=1)))


def test_tokens_are_taken_as_they_are(open_with: Open) -> None:
    """Nothing is put around them."""
    request = EmbedRequest("m", (TokenPrompt((97, 99)),), normalize=False)

    events = answer(open_with(CountingEngine()), request)

    assert {0: [1, 0, 1]} == vectors(events)
    assert Prefill(0, 2) == events[0]


def test_documents_come_best_first(open_with: Open) -> None:
    """Equal scores keep their order; `top_n` keeps the best."""
    session = open_with(CountingEngine())
    documents = ("bbb", "aab", "bba", "bba")

    events = answer(session, RerankRequest("m", "q", documents))
    (best,) = (
        event
        for event in answer(session, RerankRequest("m", "q", documents, top_n=1))
        if isinstance(event, Ranking)
    )

    check_pooling_events(events)
    (ranking,) = (event for event in events if isinstance(event, Ranking))
    assert [1, 2, 3, 0] == [item.index for item in ranking.results]
    assert (Relevance(1, 2 / 7),) == best.results


def test_each_document_may_have_its_own_query(open_with: Open) -> None:
    """The pairs are scored in their order."""
    request = RerankRequest("m", ("q", "aaa"), ("a", "a"))

    (ranking,) = (
        event
        for event in answer(open_with(CountingEngine()), request)
        if isinstance(event, Ranking)
    )

    assert (Relevance(1, 4 / 7), Relevance(0, 1 / 5)) == ranking.results


def test_queries_and_documents_must_match() -> None:
    """Neither fewer queries than documents nor more, unless there is one for all."""
    with pytest.raises(InvalidRequestError, match="query has 2 texts and documents has 3"):
        RerankRequest("m", ("q", "r"), ("a", "b", "c"))


@given(counts=st.lists(st.integers(1, 20), min_size=1, max_size=6))
def test_requests_do_not_mix(counts: list[int]) -> None:
    """However many requests of however many inputs run, each gets its own and all of it."""
    # hypothesis takes no fixtures.
    bundle = ModelBundle(Reference.parse("m"), Digest.of(b""), ())
    session = open_session(CountingEngine(), bundle)
    for request_id, count in enumerate(counts):
        texts = ["a" * request_id + "b" * index + "c" for index in range(count)]
        session.submit(request_id, embed(*texts, normalize=False))
    events = run(session)

    for request_id, count in enumerate(counts):
        own = [event for other, event in events if other == request_id]
        check_pooling_events(own, inputs=count)
        assert {index: [request_id, index, 1] for index in range(count)} == vectors(own)


def test_a_short_request_does_not_wait_for_a_long_one(open_with: Open) -> None:
    """One text that comes while hundreds are read goes into the next step but one at most."""
    session = open_with(CountingEngine())
    session.submit(1, embed(*["a"] * 400))
    run(session, steps=20)
    session.submit(2, embed("b"))

    events = run(session, steps=2)

    assert [Prefill, Embedding, Finished] == [type(event) for other, event in events if other == 2]
    assert 2 * BATCH - 1 == sum(other == 1 for other, _ in events)


def test_a_late_request_does_not_hold_an_early_one_up(open_with: Open) -> None:
    """Of two long requests none gets everything before the other."""
    session = open_with(CountingEngine())
    session.submit(1, embed(*["a"] * 100))
    run(session, steps=10)
    session.submit(2, embed(*["b"] * 100))

    ids = [other for other, event in run(session, steps=10) if isinstance(event, Embedding)]

    assert 15 <= ids.count(1) <= 25


@pytest.mark.parametrize(
    ("request_", "kind", "param", "words"),
    [
        (embed("a", "a" * 49), ContextLengthExceededError, "input[1]", "has 51 tokens"),
        (embed("a", ""), InvalidRequestError, "input[1]", "is empty"),
        (embed("a", dimensions=4), InvalidRequestError, "dimensions", "embeddings have 3"),
        (embed("a", dimensions=2), InvalidRequestError, "dimensions", "Matryoshka"),
        (
            EmbedRequest("m", (TextPrompt("a"), TokenPrompt((999,)))),
            InvalidRequestError,
            "input[1]",
            "between 0 and 257",
        ),
        (EmbedRequest("m", (TokenPrompt(()),)), InvalidRequestError, "input[0]", "is empty"),
        (RerankRequest("m", "", ("a",)), InvalidRequestError, "query", "is empty"),
        (
            RerankRequest("m", "q", ("a", "a" * 50)),
            ContextLengthExceededError,
            "documents[1]",
            "shorten it",
        ),
        (
            RerankRequest("m", ("q", ""), ("a", "a"), params=("text_1", "text_2")),
            InvalidRequestError,
            "text_1",
            "is empty",
        ),
        (
            RerankRequest("m", "q", ("a" * 50,), params=("text_1", "text_2")),
            ContextLengthExceededError,
            "text_2[0]",
            "has 54 tokens",
        ),
    ],
)
def test_bad_input_is_named_and_leaves_nothing(
    open_with: Open, request_: Request, kind: type[InvalidRequestError], param: str, words: str
) -> None:
    """The error says which input; nothing is cut off, and nothing was queued."""
    session = open_with(CountingEngine())

    with pytest.raises(kind, match=words) as caught:
        session.submit(1, request_)

    assert param == caught.value.param
    assert session.idle


@pytest.mark.parametrize(
    ("modes", "request_", "words"),
    [
        ([Mode.EMBED], RerankRequest("m", "q", ("a",)), "m makes embeddings; .* ranks documents"),
        ([Mode.RERANK], embed("a"), "m ranks documents; .* makes embeddings"),
        (
            [Mode.EMBED, Mode.RERANK],
            GenerateRequest("m", TextPrompt("a")),
            "m makes embeddings and ranks documents; .* generates text",
        ),
    ],
)
def test_a_model_does_what_it_is_for(
    open_with: Open, modes: list[Mode], request_: Request, words: str
) -> None:
    """Another request is refused, and the message says what the model is for."""
    with pytest.raises(UnsupportedFeatureError, match=words):
        open_with(CountingEngine(*modes)).submit(1, request_)


def test_engines_that_generate_are_asked_for_nothing_else(
    open_with: Open, scripted_engine: Any
) -> None:
    """An engine that knows nothing of embeddings refuses them by what its information says."""
    with pytest.raises(UnsupportedFeatureError, match=r"m generates text; .* makes embeddings"):
        open_with(scripted_engine()).submit(1, embed("a"))


def test_one_text_that_fails_fails_its_request(open_with: Open) -> None:
    """The others go on, and what is left of the request is cancelled."""
    engine = CountingEngine(fail_on=ord("x"))
    session = open_with(engine)
    session.submit(1, embed("x", *["a"] * 20))
    session.submit(2, embed("b"))

    events = run(session)

    first = [event for other, event in events if other == 1]
    assert isinstance(first[-1], Failed)
    assert "cannot be counted" in str(first[-1].error)
    check_pooling_events([event for other, event in events if other == 2], inputs=1)
    assert engine.idle


def test_a_cancelled_request_says_nothing_more(open_with: Open) -> None:
    """Its texts are cancelled in the engine, and its id is free."""
    engine = CountingEngine()
    session = open_with(engine)
    session.submit(1, embed(*["a"] * 20))
    run(session, steps=1)
    session.cancel(1)

    assert 20 - BATCH == len(engine.cancelled)
    assert [] == run(session)
    assert session.idle
    check_pooling_events(answer(session, embed("a")), inputs=1)


def test_an_id_in_use_is_refused(open_with: Open) -> None:
    """Two requests at a time cannot have one id."""
    session = open_with(CountingEngine())
    session.submit(1, embed("a"))

    with pytest.raises(InvalidRequestError, match="in use"):
        session.submit(1, embed("b"))


def test_a_job_that_the_engine_refuses_leaves_nothing(open_with: Open) -> None:
    """What was queued before it is cancelled."""

    class Choosy(CountingEngine):
        def submit_pooling(self, job: Any) -> None:
            if len(self.jobs) == 2:
                raise InvalidRequestError("No more.")
            super().submit_pooling(job)

    engine = Choosy()
    session = open_with(engine)

    with pytest.raises(InvalidRequestError, match="No more"):
        session.submit(1, embed("a", "b", "c"))
    assert session.idle
    session.submit(1, embed("a"))


def test_an_engine_that_gives_nothing_is_found_out(open_with: Open) -> None:
    """A score where an embedding was asked for fails the request."""

    class Confused(CountingEngine):
        def _output(self, job: Any) -> Any:
            return super()._output(attrs.evolve(job, mode=Mode.RERANK))

    events = answer(open_with(Confused()), embed("a"))

    assert isinstance(events[-1], Failed)
