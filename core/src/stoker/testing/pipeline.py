"""Running a request through the core's text pipeline, as a runner does."""

from __future__ import annotations

from stoker.artifact import ModelBundle
from stoker.digest import Digest
from stoker.engine import Engine, TextEngine
from stoker.events import Event
from stoker.reference import Reference
from stoker.request import Request
from stoker.text.session import open_session

MAX_STEPS = 2000
"""After so many steps a request that is not answered is called stuck."""

_NO_FILES = ModelBundle(Reference.parse("test"), Digest.of(b""), files=())


def answer(engine: Engine | TextEngine, request: Request) -> list[Event]:
    """Answer a request with a loaded engine, which is closed afterwards.

    Raises:
        AssertionError: The answer does not end.
    """
    session = open_session(engine, _NO_FILES)
    events: list[Event] = []
    try:
        session.submit(1, request)
        for _ in range(MAX_STEPS):
            if session.idle:
                return events
            events += [event for _, event in session.step()]
    finally:
        session.close()
    raise AssertionError(f"The request was not answered after {MAX_STEPS} steps.")
