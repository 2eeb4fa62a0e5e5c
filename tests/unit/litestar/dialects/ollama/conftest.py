"""What the dialect's tests share."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from stoker.dialect import Call, CommandCall, CommandQuery, ResponseContext
from stoker.digest import Digest
from stoker.events import Event, Finished, Timings, Usage
from stoker.host import ModelCard
from stoker.management import CommandEvent

CONTEXT = ResponseContext(id="abc", created_s=1234)
MOMENT = "1970-01-01T00:20:34Z"
FINISHED = Finished(
    Usage(prompt_tokens=5, completion_tokens=4),
    Timings(prefill_s=0.25, decode_s=1.5, load_s=2.0, queue_s=0.25),
)
ENDING = {
    "done": True,
    "done_reason": "stop",
    "total_duration": 4_000_000_000,
    "load_duration": 2_000_000_000,
    "prompt_eval_count": 5,
    "prompt_eval_duration": 250_000_000,
    "eval_count": 4,
    "eval_duration": 1_500_000_000,
}
DIGEST = Digest.of(b"weights")
CARD = ModelCard(name="ai/x", digest=DIGEST, size_bytes=7, created_s=1234.5, store="oci")


def body(fields: dict[str, Any]) -> bytes:
    """A body in JSON."""
    return json.dumps(fields).encode()


def query(fields: dict[str, Any]) -> CommandQuery:
    """What a command route gets of a client that sends a body."""
    return CommandQuery(body=body(fields))


def played(call: Call | CommandCall, events: Iterable[Event | CommandEvent]) -> bytes:
    """All bytes that a call's encoder makes of events."""
    feed: Any = call.encoder(CONTEXT).feed
    return b"".join(feed(event) for event in events)


def lines(data: bytes) -> list[dict[str, Any]]:
    """The objects of a stream; every line is whole."""
    assert data.endswith(b"\n")
    return [json.loads(line) for line in data.splitlines()]
