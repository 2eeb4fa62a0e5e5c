"""Streams of messages, byte by byte."""

from __future__ import annotations

import json
from typing import Any

from block_answers import answers
from encoded import feed, sse_events
from hypothesis import given

from stoker.errors import OverloadedError, RunnerCrashedError
from stoker.events import (
    ChoiceFinished,
    Event,
    Failed,
    Finished,
    FinishReason,
    Loading,
    Prefill,
    Queued,
    ReasoningDelta,
    TextDelta,
    ToolCallDelta,
)
from stoker_litestar.dialects.anthropic.message_response import MessageEncoder
from stoker_litestar.dialects.anthropic.message_stream import MessageStreamEncoder

from .conftest import CONTEXT, USAGE


def stream_encoder(*, hides_thinking: bool = False, max_tokens: int = 9) -> MessageStreamEncoder:
    return MessageStreamEncoder(
        CONTEXT, model="m", max_tokens=max_tokens, hides_thinking=hides_thinking
    )


def whole_encoder() -> MessageEncoder:
    return MessageEncoder(CONTEXT, model="m", max_tokens=9, hides_thinking=False)


GOLDEN = """\
event: ping
data: {"type":"ping"}

event: message_start
data: {"type":"message_start","message":{"type":"message","id":"msg_abc","role":"assistant",\
"model":"m","content":[],"stop_reason":null,"stop_sequence":null,"stop_details":null,\
"container":null,"usage":{"input_tokens":5,"cache_read_input_tokens":0,\
"cache_creation_input_tokens":0,"cache_creation":null,"output_tokens":0,\
"output_tokens_details":{"thinking_tokens":0},"server_tool_use":null,"service_tier":"standard",\
"inference_geo":null}}}

event: ping
data: {"type":"ping"}

event: content_block_start
data: {"type":"content_block_start","index":0,"content_block":{"type":"thinking","thinking":"",\
"signature":""}}

event: content_block_delta
data: {"type":"content_block_delta","index":0,"delta":{"type":"thinking_delta",\
"thinking":"Hm."}}

event: content_block_delta
data: {"type":"content_block_delta","index":0,"delta":{"type":"signature_delta",\
"signature":"unsigned"}}

event: content_block_stop
data: {"type":"content_block_stop","index":0}

event: content_block_start
data: {"type":"content_block_start","index":1,"content_block":{"type":"text","text":"",\
"citations":null}}

event: content_block_delta
data: {"type":"content_block_delta","index":1,"delta":{"type":"text_delta","text":"Yes"}}

event: content_block_delta
data: {"type":"content_block_delta","index":1,"delta":{"type":"text_delta","text":", "}}

event: content_block_stop
data: {"type":"content_block_stop","index":1}

event: content_block_start
data: {"type":"content_block_start","index":2,"content_block":{"type":"tool_use","id":"call_1",\
"name":"add","input":{},"caller":{"type":"direct"}}}

event: content_block_delta
data: {"type":"content_block_delta","index":2,"delta":{"type":"input_json_delta",\
"partial_json":"{\\"a\\":"}}

event: content_block_delta
data: {"type":"content_block_delta","index":2,"delta":{"type":"input_json_delta",\
"partial_json":"1}"}}

event: content_block_stop
data: {"type":"content_block_stop","index":2}

event: message_delta
data: {"type":"message_delta","delta":{"stop_reason":"tool_use","stop_sequence":null,\
"stop_details":null,"container":null},"usage":{"input_tokens":2,"cache_read_input_tokens":3,\
"cache_creation_input_tokens":0,"output_tokens":4,"output_tokens_details":{"thinking_tokens":1},\
"server_tool_use":null}}

event: message_stop
data: {"type":"message_stop"}

"""


def test_a_whole_stream() -> None:
    """Every kind of event, in the API's order."""
    events: list[Event] = [
        Queued(2),
        Prefill(0, 5),
        Prefill(5, 5, 3),
        ReasoningDelta("Hm."),
        TextDelta("Yes"),
        TextDelta(""),
        TextDelta(", "),
        ToolCallDelta(0, id="call_1", name="add"),
        ToolCallDelta(0, arguments='{"a":'),
        ToolCallDelta(0, arguments="1}"),
        ChoiceFinished(FinishReason.TOOL_CALLS),
        Finished(USAGE),
    ]

    assert GOLDEN == feed(stream_encoder(), events).decode()


def test_an_empty_answer_has_no_blocks() -> None:
    """A model that says nothing still begins and ends a message."""
    events = [Prefill(5, 5), ChoiceFinished(FinishReason.STOP), Finished(USAGE)]

    assert ["message_start", "message_delta", "message_stop"] == [
        event["type"] for event in sse_events(feed(stream_encoder(), events))
    ]


def test_thinking_can_be_left_out() -> None:
    """The block is there, so that it can be sent back, and says nothing."""
    events = [
        ReasoningDelta("Secret."),
        TextDelta("Yes"),
        ChoiceFinished(FinishReason.STOP),
        Finished(USAGE),
    ]

    stream = feed(stream_encoder(hides_thinking=True), events)

    assert b"Secret" not in stream
    assert b'"thinking":""' in stream
    assert b'"signature":"unsigned"' in stream


def test_a_failure_after_the_first_byte_is_an_event() -> None:
    """Nothing follows the error; it has no request id of its own."""
    events = [Loading("weights", 0.5), Prefill(5, 5), Failed(RunnerCrashedError("It died."))]

    *_, last = sse_events(feed(stream_encoder(), events))

    assert {"type": "error", "error": {"type": "api_error", "message": "It died."}} == last


def test_a_failure_after_a_wait_is_an_event() -> None:
    """A request that waited and was refused in the end is told so, without a message."""
    events = [Queued(9), Failed(OverloadedError("Full.", retry_after_s=1))]

    assert ["ping", "error"] == [
        event["type"] for event in sse_events(feed(stream_encoder(), events))
    ]


def test_why_an_answer_was_cut_off() -> None:
    """Fewer tokens than were allowed: then the context was full."""
    events = [Prefill(5, 5), ChoiceFinished(FinishReason.LENGTH), Finished(USAGE)]

    for max_tokens, reason in ((4, "max_tokens"), (5, "model_context_window_exceeded")):
        *_, delta, _ = sse_events(feed(stream_encoder(max_tokens=max_tokens), events))
        assert reason == delta["delta"]["stop_reason"]


def joined(stream: bytes) -> dict[str, Any]:
    """Put a stream together, as clients do."""
    message: dict[str, Any] = {}
    partial: dict[int, str] = {}
    for event in sse_events(stream):
        match event["type"]:
            case "message_start":
                message = event["message"]
            case "content_block_start":
                assert len(message["content"]) == event["index"]
                message["content"].append(event["content_block"])
            case "content_block_delta":
                block, delta = message["content"][event["index"]], event["delta"]
                for key in ("text", "thinking", "signature"):
                    if key in delta:
                        block[key] += delta[key]
                if "partial_json" in delta:
                    partial[event["index"]] = (
                        partial.get(event["index"], "") + delta["partial_json"]
                    )
            case "content_block_stop" if event["index"] in partial:
                block = message["content"][event["index"]]
                block["input"] = json.loads(partial[event["index"]])
            case "message_delta":
                message |= event["delta"]
                message["usage"] |= event["usage"]
    return message


@given(answers())
def test_a_stream_says_what_a_whole_message_says(events: list[Event]) -> None:
    """Put together, the pieces are the message that the other encoder makes."""
    assert json.loads(feed(whole_encoder(), events)) == joined(feed(stream_encoder(), events))
