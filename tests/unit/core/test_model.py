from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import pytest
from counting_engine import CountingEngine

from stoker.errors import InvalidRequestError, StokerError
from stoker.events import Failed, Finished, TextDelta
from stoker.loading import load_session
from stoker.messages import Author, Message, TextPart
from stoker.model import Model
from stoker.request import GenerateRequest, TextPrompt
from stoker.text.session import open_session


@pytest.fixture
def model(make_plan: Any) -> Iterator[Model]:
    plan = make_plan()
    session = load_session(plan.backend, plan.bundle, plan.options, lambda stage, fraction: None)
    with Model("test/words", session) as made:
        yield made


def test_a_text_is_continued_piece_by_piece(model: Model) -> None:
    """The pieces are the answer, in order."""

    assert ["one ", "two ", "three "] == list(model.generate("Go"))


@pytest.mark.parametrize(
    "messages",
    [
        "Hi",
        [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hi"}],
        [Message(Author.USER, (TextPart("Hi"),))],
    ],
)
def test_a_chat_takes_text_mappings_and_messages(model: Model, messages: Any) -> None:
    """A conversation may be written as is convenient."""

    assert "one two three " == "".join(model.chat(messages))


def test_options_are_those_of_requests(model: Model) -> None:
    """max_tokens, stop and sampling parameters are honoured and checked."""

    assert "one two " == "".join(model.generate("Go", max_tokens=2))
    assert "one " == "".join(model.generate("Go", stop="two"))
    with pytest.raises(InvalidRequestError, match="temperature"):
        model.generate("Go", temperature=-1.0)


def test_a_failure_is_raised_where_the_text_is_read(model: Model) -> None:
    """What came before is not lost, and the model goes on to work."""
    pieces = model.generate("raise")

    assert "one " == next(pieces)
    with pytest.raises(StokerError, match="told to raise"):
        next(pieces)
    assert "one two three " == "".join(model.generate("Go"))


def test_stopping_to_read_cancels(model: Model) -> None:
    """An endless answer ends with its reader."""
    for _ in model.generate("for ever"):
        break

    assert "one two three " == "".join(model.generate("Go"))


def test_threads_take_turns(model: Model) -> None:
    """Answers asked for by several threads do not mix."""
    answers: list[str] = []
    threads = [
        threading.Thread(target=lambda: answers.append("".join(model.generate("Go"))))
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=10)

    assert ["one two three "] * 4 == answers


def test_events_tell_everything(model: Model) -> None:
    """The full stream ends with usage, or with the error."""
    events = list(model.events(GenerateRequest("x", TextPrompt("Go"))))
    refused = list(model.events(GenerateRequest("x", TextPrompt("Go"), adapters=("lora",))))

    assert [TextDelta("one "), TextDelta("two "), TextDelta("three ")] == [
        event for event in events if isinstance(event, TextDelta)
    ]
    assert isinstance(events[-1], Finished)
    assert isinstance(refused[-1], Failed)


@pytest.fixture
def counting(make_plan: Any) -> Iterator[Model]:
    """A model that counts letters."""
    with Model(
        "test/counts", open_session(CountingEngine(matryoshka=True), make_plan().bundle)
    ) as made:
        yield made


def test_texts_are_embedded_in_order(counting: Model) -> None:
    """Each text gets its vector, of the length 1 or as it is, whole or shortened."""
    assert [[1, 0, 0], [0, 0, 1]] == [list(vector) for vector in counting.embed(["aaa", "c"])]
    assert [[3, 0]] == [
        list(vector) for vector in counting.embed(["aaa"], dimensions=2, normalize=False)
    ]


def test_documents_are_ranked(counting: Model) -> None:
    """The best come first, each with its index."""
    ranked = counting.rerank("q", ["b", "a", "aa"], top_n=2)

    assert [2, 1] == [item.index for item in ranked]


def test_what_cannot_be_embedded_or_ranked_is_raised(counting: Model, model: Model) -> None:
    """The error comes as an exception, as for texts."""
    with pytest.raises(InvalidRequestError, match="is empty"):
        counting.embed(["a", ""])
    with pytest.raises(InvalidRequestError, match="between 1 and"):
        counting.rerank("q", [])
    with pytest.raises(InvalidRequestError, match="generates text"):
        model.embed(["a"])
