"""Several answers of one remote server at the same time."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from openai_server import WAIT_S, OpenAiServer, openai_server

from stoker.errors import UnavailableError
from stoker.events import (
    ChoiceFinished,
    Event,
    Failed,
    Finished,
    FinishReason,
    TextDelta,
    Usage,
)
from stoker.request import GenerateRequest, TextPrompt
from stoker.text.session import Session
from stoker.text.text_session import TextSession
from stoker_remote.engine import RemoteEngine, open_engine
from stoker_remote.plugin import RemoteOptions

Open = Callable[..., RemoteEngine]


@pytest.fixture
def server() -> Iterator[OpenAiServer]:
    """A server that repeats what it is told."""
    with openai_server() as running:
        yield running


@pytest.fixture
def weights(server: OpenAiServer, tmp_path: Path) -> Path:
    """The file that says where it is."""
    path = tmp_path / "x.remote.json"
    path.write_text(json.dumps({"url": server.url, "model": "far"}))
    return path


@pytest.fixture
def open_remote(weights: Path) -> Iterator[Open]:
    """A function that makes engines which ask it; they are closed at the end."""
    engines = []

    def make(*, timeout_s: float = 10, max_streams: int = 8) -> RemoteEngine:
        engines.append(open_engine([weights], RemoteOptions(timeout_s, max_streams)))
        return engines[-1]

    yield make
    for engine in engines:
        engine.close()


def asked(text: str, *, n: int = 1, max_tokens: int | None = None) -> GenerateRequest:
    """A request to repeat a text."""
    return GenerateRequest("here", TextPrompt(text), n=n, max_tokens=max_tokens)


def run(
    session: Session, until: Callable[[list[tuple[int, Event]]], bool]
) -> list[tuple[int, Event]]:
    """Step until a condition holds for all events so far.

    Raises:
        AssertionError: It never holds.
    """
    events: list[tuple[int, Event]] = []
    end_s = time.monotonic() + WAIT_S
    while not until(events):
        assert time.monotonic() < end_s, events
        events += session.step()
    return events


def texts(events: list[tuple[int, Event]]) -> dict[int, str]:
    """What was said to each request."""
    found: dict[int, str] = {}
    for request_id, event in events:
        if isinstance(event, TextDelta):
            found[request_id] = found.get(request_id, "") + event.text
    return found


def wait_for(condition: Callable[[], bool]) -> None:
    """Wait until something is so.

    Raises:
        AssertionError: It never is.
    """
    end_s = time.monotonic() + WAIT_S
    while not condition():
        assert time.monotonic() < end_s
        time.sleep(0.005)


def test_a_slow_answer_holds_up_no_other(open_remote: Open, server: OpenAiServer) -> None:
    """Two answers are read at once: one ends while the other waits in its middle."""
    server.gates = {"two": threading.Event(), "four": threading.Event()}
    session = TextSession(open_remote())
    session.submit(1, asked("one two three"))
    session.submit(2, asked("four five six"))

    first = run(session, lambda events: texts(events) == {1: "one "})
    server.gates["four"].set()
    second = run(session, lambda events: any(isinstance(item, Finished) for _, item in events))
    server.gates["two"].set()
    third = run(session, lambda _: session.idle)

    assert {1: "one "} == texts(first)
    assert {2: "four five six "} == texts(second)
    assert {1: "two three "} == texts(third)


def test_choices_are_written_side_by_side(open_remote: Open, server: OpenAiServer) -> None:
    """A choice that the server begins late does not keep the others, and usage adds up."""
    session = TextSession(open_remote())
    session.submit(1, asked("a b c", n=3, max_tokens=2))
    events = [event for _, event in run(session, lambda _: session.idle)]
    *_, last = events

    assert [FinishReason.LENGTH] * 3 == [
        event.reason for event in events if isinstance(event, ChoiceFinished)
    ]
    assert isinstance(last, Finished)
    assert Usage(prompt_tokens=3, completion_tokens=6, cached_tokens=1) == last.usage
    assert 3 == len(server.bodies)


def test_no_more_answers_than_allowed_are_asked_for(
    open_remote: Open, server: OpenAiServer
) -> None:
    """What is beyond the number waits, and is answered in the end."""
    server.gates = {"go": threading.Event()}
    engine = open_remote(max_streams=2)
    session = TextSession(engine)
    for number in range(5):
        session.submit(number, asked(f"go {number}"))
    wait_for(lambda: server.running == 2)
    server.gates["go"].set()
    events = run(session, lambda _: session.idle)

    assert {number: f"go {number} " for number in range(5)} == texts(events)
    assert 2 == server.most_running
    assert 2 == engine.info.max_sequences


def test_a_cancelled_answer_hangs_up(open_remote: Open, server: OpenAiServer) -> None:
    """The server notices at once, in the middle of its silence, and the others go on."""
    server.gates = {"never": threading.Event()}
    session = TextSession(open_remote())
    session.submit(1, asked("word never " + "more " * 500))
    session.submit(2, asked("another"))
    run(session, lambda events: 1 in texts(events))
    session.cancel(1)
    events = run(session, lambda _: session.idle)
    server.gates["never"].set()

    assert {2} >= set(texts(events))
    wait_for(lambda: server.left == 1 and server.running == 0)


def test_closing_hangs_up(weights: Path, server: OpenAiServer) -> None:
    """No thread is left, whatever was under way."""
    server.gates = {"never": threading.Event()}
    before = threading.active_count()
    session = TextSession(open_engine([weights], RemoteOptions()))
    session.submit(1, asked("word never"))
    run(session, lambda events: 1 in texts(events))
    session.close()
    server.gates["never"].set()

    wait_for(lambda: threading.active_count() == before)


def test_a_silent_server_is_given_up(open_remote: Open, server: OpenAiServer) -> None:
    """One request fails with a sentence that names the setting, and the other goes on."""
    server.gates = {"never": threading.Event()}
    session = TextSession(open_remote(timeout_s=0.3))
    session.submit(1, asked("word never"))
    session.submit(2, asked("quick"))
    events = run(session, lambda _: session.idle)
    failed = {key: event.error for key, event in events if isinstance(event, Failed)}

    assert [1] == list(failed)
    assert isinstance(failed[1], UnavailableError)
    assert "timeout_s" in str(failed[1])
    assert {1: "word ", 2: "quick "} == texts(events)


def test_a_reader_that_is_late_stops_the_server(open_remote: Open, server: OpenAiServer) -> None:
    """What nobody takes is not read for ever; all of it comes in the end."""
    word, count = "x" * 5000, 3000
    server.script = [{"choices": [{"text": word}]}] * count + [b"data: [DONE]\n\n"]
    stream = open_remote().generate(asked("go"), index=0)
    wait_for(lambda: stream.full)
    time.sleep(0.05)

    assert 1 == server.running
    assert [word] * count == list(stream)[:-1]
