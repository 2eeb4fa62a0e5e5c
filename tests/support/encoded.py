"""What encoders make of events."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from stoker.dialect import ResponseEncoder
from stoker.events import Event


def feed(encoder: ResponseEncoder, events: Iterable[Event]) -> bytes:
    """All bytes that an encoder makes of events."""
    return b"".join(encoder.feed(event) for event in events)


def sse_events(stream: bytes) -> list[dict[str, Any]]:
    """The data of a stream's events, each of which has its type for a name as well."""
    *events, rest = stream.decode().split("\n\n")
    assert not rest
    found = []
    for event in events:
        name, data = event.split("\n")
        found.append(json.loads(data.removeprefix("data: ")))
        assert f"event: {found[-1]['type']}" == name
    return found
