"""Tests of `stoker.supervisor.listener_thread`: listeners hear everything, and hurt nobody."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable

import pytest

from stoker.caller import LOCAL, RequestContext
from stoker.listener import Listener
from stoker.supervisor import listener_thread
from stoker.supervisor.listener_thread import ListenerThread
from stoker.telemetry import LoadRecord, Record, RequestStart

EVENTS = [LoadRecord(f"ai/{number}", "parrot", 0.1) for number in range(5)]


class Hearing(Listener):
    """Keeps what it hears; may be slow, or fail."""

    def __init__(self, hear: Callable[[Record], None] = lambda _event: None) -> None:
        self.heard: list[Record] = []
        self.threads: set[int] = set()
        self.closed = 0
        self._hear = hear

    def hear(self, event: Record) -> None:
        self.threads.add(threading.get_ident())
        self.heard.append(event)
        self._hear(event)

    def close(self) -> None:
        self.threads.add(threading.get_ident())
        self.closed += 1


def started(listener: Listener) -> ListenerThread:
    return ListenerThread("test", lambda: listener)


def test_all_events_are_heard_in_order_in_one_thread() -> None:
    """It is made, called and closed by a thread of its own; what waits at the end is heard."""
    listener = Hearing(lambda _event: time.sleep(0.01))
    thread = started(listener)
    for event in EVENTS:
        thread.take(event)
    thread.end()

    assert EVENTS == listener.heard
    assert 1 == len(listener.threads)
    assert threading.get_ident() not in listener.threads
    assert 1 == listener.closed


def test_one_that_raises_loses_that_event_only(caplog: pytest.LogCaptureFixture) -> None:
    """The failure is logged, and the next event comes."""

    def fail(event: Record) -> None:
        if event is EVENTS[1]:
            raise ValueError("not this one")

    listener = Hearing(fail)
    thread = started(listener)
    for event in EVENTS:
        thread.take(event)
    thread.end()

    assert EVENTS == listener.heard
    assert ["Listener test failed"] == [record.message for record in caplog.records]


def test_one_that_is_too_slow_misses_events(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Telling takes no time, what does not fit is dropped, and the log says how much."""
    monkeypatch.setattr(listener_thread, "MAX_WAITING_EVENTS", 2)
    go = threading.Event()
    listener = Hearing(lambda _event: go.wait(10) and None)
    thread = started(listener)
    thread.take(EVENTS[0])
    while not listener.heard:
        time.sleep(0.001)
    for event in EVENTS[1:]:
        thread.take(event)
    go.set()
    thread.end()

    assert EVENTS[:3] == listener.heard
    assert [
        "Listener test is too slow and misses events",
        "Listener test has missed 2 events",
    ] == [record.message for record in caplog.records]


def test_one_that_hangs_is_left_behind(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The end of the server does not wait for it for ever."""
    monkeypatch.setattr(listener_thread, "END_TIMEOUT_S", 0.1)
    go = threading.Event()
    thread = started(Hearing(lambda _event: go.wait(10) and None))
    thread.take(EVENTS[0])
    thread.end()
    go.set()

    assert "Listener test does not end and is left behind" in caplog.text


def test_one_that_cannot_be_made_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    """Events are taken all the same."""

    def refuse() -> Listener:
        raise OSError("no disk")

    thread = ListenerThread("test", refuse)
    for event in EVENTS:
        thread.take(event)
    thread.end()

    assert [(logging.ERROR, "Listener test cannot be made")] == [
        (record.levelno, record.message) for record in caplog.records
    ]


def test_events_are_frozen() -> None:
    """A listener cannot change what the others get."""
    event = RequestStart(RequestContext(LOCAL), "ai/x")

    with pytest.raises(AttributeError):
        event.asked_model = "other"  # type: ignore[misc]
