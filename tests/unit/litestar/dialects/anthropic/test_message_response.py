"""Whole messages."""

from __future__ import annotations

import json
from typing import Any

import pytest
from encoded import feed

from stoker.errors import RunnerCrashedError, StokerError
from stoker.events import (
    ChoiceFinished,
    Failed,
    Finished,
    FinishReason,
    Prefill,
    ReasoningDelta,
    TextDelta,
    ToolCallDelta,
)
from stoker_litestar.dialects.anthropic.message_response import MessageEncoder

from .conftest import CONTEXT, USAGE


def encoder(*, hides_thinking: bool = False) -> MessageEncoder:
    return MessageEncoder(CONTEXT, model="m", max_tokens=9, hides_thinking=hides_thinking)


def test_a_whole_message() -> None:
    """Every field of the API is there, as strict clients expect."""
    events = [
        Prefill(5, 5),
        ReasoningDelta("Hm."),
        TextDelta("Yes"),
        TextDelta("."),
        ChoiceFinished(FinishReason.STOP, stop="\n"),
        Finished(USAGE),
    ]

    assert {
        "type": "message",
        "id": "msg_abc",
        "role": "assistant",
        "model": "m",
        "content": [
            {"type": "thinking", "thinking": "Hm.", "signature": "unsigned"},
            {"type": "text", "text": "Yes.", "citations": None},
        ],
        "stop_reason": "stop_sequence",
        "stop_sequence": "\n",
        "stop_details": None,
        "container": None,
        "usage": {
            "input_tokens": 2,
            "cache_read_input_tokens": 3,
            "cache_creation_input_tokens": 0,
            "cache_creation": None,
            "output_tokens": 4,
            "output_tokens_details": {"thinking_tokens": 1},
            "server_tool_use": None,
            "service_tier": "standard",
            "inference_geo": None,
        },
    } == json.loads(feed(encoder(), events))


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ('{"a": 1}', {"a": 1}),
        ("", {}),
        ('{"a": ', {"INVALID_JSON": '{"a": '}),
        ("[1]", {"INVALID_JSON": "[1]"}),
        ("[" * 100_000, {"INVALID_JSON": "[" * 100_000}),
    ],
)
def test_inputs_are_objects(arguments: str, expected: dict[str, Any]) -> None:
    """What the model wrote is kept also where it is no JSON object, as inputs must be."""
    events = [
        ToolCallDelta(0, id="call_1", name="add", arguments=arguments),
        ChoiceFinished(FinishReason.TOOL_CALLS),
        Finished(USAGE),
    ]

    (block,) = json.loads(feed(encoder(), events))["content"]

    assert expected == block["input"]


def test_thinking_can_be_left_out() -> None:
    """The block stays, and says nothing."""
    events = [ReasoningDelta("Hm."), ChoiceFinished(FinishReason.STOP), Finished(USAGE)]

    (block,) = json.loads(feed(encoder(hides_thinking=True), events))["content"]

    assert "" == block["thinking"]


def test_a_failure_is_an_error_object() -> None:
    """Also when the transport asks the encoder for it."""
    body = json.loads(encoder().feed(Failed(RunnerCrashedError("It died."))))

    assert {"type": "error", "error": {"type": "api_error", "message": "It died."}} == body


def test_calls_that_are_mixed_up_are_an_error() -> None:
    """The API has no words for it, and nothing is dropped in silence."""
    made = encoder()
    made.feed(ToolCallDelta(0, id="call_1", name="f"))
    made.feed(ToolCallDelta(1, id="call_2", name="g"))

    with pytest.raises(StokerError, match="mixed up"):
        made.feed(ToolCallDelta(0, arguments="{}"))
