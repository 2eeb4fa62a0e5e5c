"""Docker Model Runner's progress, as JSON and as text."""

from __future__ import annotations

import html
import json
from typing import Any

import pytest

from stoker.dialect import CommandQuery, ResponseContext
from stoker.digest import Digest
from stoker.errors import InvalidRequestError, TransferError
from stoker.events import Failed
from stoker.host import ModelCard
from stoker.management import CommandEvent, ModelPushed, ModelStored, PullModel, PushModel
from stoker.store import Progress
from stoker_litestar.dialects.docker.transfer import decode_create, decode_push

CONTEXT = ResponseContext("abc", 1234)
DIGEST, OTHER = Digest.of(b"a"), Digest.of(b"b")
STORED = ModelStored(ModelCard("ai/x", DIGEST, 7, 0.0, "oci"))
EVENTS: list[CommandEvent] = [
    Progress("pulling", "x.gguf", 0, 3_000_000, DIGEST),
    Progress("pulling", "LICENSE", 1000, 1000, OTHER),
    Progress("verifying", "x.gguf", 0, 3_000_000, DIGEST),
    Progress("waiting to try again"),
    Progress("pulling", "x.gguf", 3_000_000, 3_000_000, DIGEST),
    STORED,
]


def query(fields: dict[str, Any], accept: str = "application/json") -> CommandQuery:
    """A client's request to pull."""
    return CommandQuery(body=json.dumps(fields).encode(), accept=accept)


def played(call: Any, events: list[CommandEvent]) -> bytes:
    """All bytes that an encoder makes of events."""
    encoder = call.encoder(CONTEXT)
    return b"".join(encoder.feed(event) for event in events)


def test_a_pull_in_json() -> None:
    """Each step of a layer is a line, with the sizes of all layers so far."""
    call = decode_create(query({"from": "ai/x"}))

    told = [json.loads(line) for line in played(call, EVENTS).splitlines()]

    assert PullModel("ai/x") == call.command
    assert call.stream

    def step(message: str, total: int, digest: Digest, size: int, current: int) -> dict[str, Any]:
        layer = {"id": str(digest), "size": size, "current": current}
        line = {"type": "progress", "message": message, "total": total}
        return line | {"layer": layer, "mode": "pull"}

    total = 3_001_000
    assert [
        step("Downloaded 0.00 MB", 3_000_000, DIGEST, 3_000_000, 0),
        step("Downloaded 0.00 MB", total, OTHER, 1000, 1000),
        {"type": "warning", "message": "waiting to try again", "total": total, "mode": "pull"},
        step("Downloaded 3.00 MB", total, DIGEST, 3_000_000, 3_000_000),
        {
            "type": "success",
            "message": "Model pulled successfully",
            "total": total,
            "mode": "pull",
        },
    ] == told


def test_a_pull_as_text_is_the_same_escaped() -> None:
    """Clients that do not ask for JSON undo the escapes of HTML."""
    as_json = decode_create(query({"from": "ai/x"}))
    as_text = decode_create(query({"from": "ai/x"}, accept="*/*"))

    data = played(as_text, EVENTS)

    assert played(as_json, EVENTS).decode() == html.unescape(data.decode())
    assert b'"' not in data
    assert "application/json" == as_json.encoder(CONTEXT).content_type
    assert "text/plain" == as_text.encoder(CONTEXT).content_type


def test_a_push() -> None:
    """The name is in the path, and the body may be missing."""
    call = decode_push(CommandQuery(name="ai/x", accept="application/json"))

    told = played(call, [Progress("pushing", "x", 5, 5, DIGEST), ModelPushed(DIGEST)])

    assert PushModel("ai/x") == call.command
    assert [("progress", "push"), ("success", "push")] == [
        (line["type"], line["mode"]) for line in map(json.loads, told.splitlines())
    ]


def test_a_failure_is_a_line() -> None:
    """The status cannot change any more."""
    call = decode_create(query({"from": "ai/x"}))

    told = played(call, [EVENTS[0], Failed(TransferError("It broke off."))]).splitlines()

    last = json.loads(told[-1])
    assert ("error", "It broke off.") == (last["type"], last["message"])


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({}, "from"),
        ({"from": ""}, "from"),
        ({"from": "ai/x", "bearer-token": "x"}, "bearer-token"),
        ({"from": "ai/x", "other": 1}, "other"),
    ],
)
def test_wrong_requests_are_refused(fields: dict[str, Any], param: str) -> None:
    """The error names the field."""
    with pytest.raises(InvalidRequestError) as caught:
        decode_create(query(fields))

    assert param == caught.value.param
