"""Responses, whole and byte by byte."""

from __future__ import annotations

import json
from typing import Any

import attrs
from block_answers import answers
from encoded import feed, sse_events
from hypothesis import given

from stoker.dialect import Call, ResponseContext, ResponseEncoder
from stoker.errors import (
    InvalidRequestError,
    RunnerCrashedError,
    StokerError,
    TooManyRequestsError,
)
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
    Timings,
    TokenLogprob,
    ToolCallDelta,
)
from stoker_litestar.dialects.responses.responses import decode_response

from .conftest import CONTEXT, USAGE

TOOL = {"type": "function", "name": "add", "parameters": {"type": "object"}}
STOP = ChoiceFinished(FinishReason.STOP)
ECHO = {
    "background": False,
    "error": None,
    "incomplete_details": None,
    "instructions": None,
    "max_output_tokens": None,
    "max_tool_calls": None,
    "model": "m",
    "parallel_tool_calls": True,
    "previous_response_id": None,
    "prompt_cache_key": None,
    "reasoning": {"effort": None, "summary": None},
    "safety_identifier": None,
    "service_tier": "default",
    "store": True,
    "temperature": 0.8,
    "text": {"format": {"type": "text"}, "verbosity": "medium"},
    "tool_choice": "auto",
    "tools": [],
    "top_logprobs": 0,
    "top_p": 0.95,
    "presence_penalty": 0.0,
    "frequency_penalty": 0.0,
    "truncation": "disabled",
    "user": None,
    "metadata": {},
}
USAGE_OBJECT = {
    "input_tokens": 5,
    "input_tokens_details": {"cached_tokens": 3, "cache_write_tokens": 0},
    "output_tokens": 4,
    "output_tokens_details": {"reasoning_tokens": 1},
    "total_tokens": 9,
}


def encoder(*, context: ResponseContext = CONTEXT, **fields: Any) -> ResponseEncoder:
    """The encoder of a request with these fields."""
    call = decode_response(json.dumps({"model": "m", "input": "Hi"} | fields).encode())
    assert isinstance(call, Call)
    return call.encoder(context)


def stream(events: list[Event], **fields: Any) -> list[dict[str, Any]]:
    return sse_events(feed(encoder(stream=True, **fields), events))


def whole(events: list[Event], **fields: Any) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(feed(encoder(**fields), events))
    return found


def test_a_whole_response() -> None:
    """Every field of the API is there, as strict clients expect."""
    events = [
        Prefill(5, 5),
        ReasoningDelta("Hm."),
        TextDelta("Yes"),
        TextDelta("."),
        ToolCallDelta(0, id="call_1", name="add", arguments="{}"),
        ChoiceFinished(FinishReason.TOOL_CALLS),
        Finished(USAGE, Timings(prefill_s=1.0, decode_s=1.6)),
    ]

    assert ECHO | {
        "id": "resp_abc",
        "object": "response",
        "created_at": 1234,
        "completed_at": 1237,
        "status": "completed",
        "output": [
            {
                "type": "reasoning",
                "id": "rs_abc_0",
                "status": "completed",
                "summary": [],
                "content": [{"type": "reasoning_text", "text": "Hm."}],
            },
            {
                "type": "message",
                "id": "msg_abc_1",
                "status": "completed",
                "role": "assistant",
                "content": [
                    {"type": "output_text", "text": "Yes.", "annotations": [], "logprobs": []}
                ],
            },
            {
                "type": "function_call",
                "id": "fc_abc_2",
                "status": "completed",
                "call_id": "call_1",
                "name": "add",
                "arguments": "{}",
            },
        ],
        "usage": USAGE_OBJECT,
    } == whole(events)


def test_what_the_request_said_comes_back() -> None:
    """Clients read there how the response was made."""
    schema = {"type": "object"}
    response = whole(
        [STOP, Finished(USAGE)],
        instructions="Be brief.",
        max_output_tokens=7,
        max_tool_calls=2,
        metadata={"a": "b"},
        parallel_tool_calls=False,
        prompt_cache_key="k",
        reasoning={"effort": "low", "summary": "auto"},
        safety_identifier="s",
        service_tier="auto",
        temperature=0.1,
        top_p=0.2,
        presence_penalty=0.3,
        frequency_penalty=0.4,
        include=["message.output_text.logprobs"],
        top_logprobs=2,
        text={"format": {"type": "json_schema", "name": "x", "schema": schema}},
        tools=[TOOL],
        tool_choice={"type": "function", "name": "add"},
        user="u",
    )

    expected = {
        "instructions": "Be brief.",
        "max_output_tokens": 7,
        "max_tool_calls": 2,
        "metadata": {"a": "b"},
        "parallel_tool_calls": False,
        "prompt_cache_key": "k",
        "reasoning": {"effort": "low", "summary": "auto"},
        "safety_identifier": "s",
        "service_tier": "default",
        "temperature": 0.1,
        "top_p": 0.2,
        "presence_penalty": 0.3,
        "frequency_penalty": 0.4,
        "top_logprobs": 2,
        "text": {
            "format": {
                "type": "json_schema",
                "name": "x",
                "description": None,
                "schema": schema,
                "strict": True,
            },
            "verbosity": "medium",
        },
        "tools": [
            {
                "type": "function",
                "name": "add",
                "description": None,
                "parameters": {"type": "object"},
                "strict": True,
            }
        ],
        "tool_choice": {"type": "function", "name": "add"},
        "user": "u",
    }
    assert expected == {key: response[key] for key in expected}


def test_a_whole_stream() -> None:
    """Every event of a response with reasoning, text and a call, in the API's order."""
    begun = ECHO | {
        "id": "resp_abc",
        "object": "response",
        "created_at": 1234,
        "completed_at": None,
        "status": "in_progress",
        "output": [],
        "usage": None,
    }
    thoughts = {"type": "reasoning_text", "text": "Hm."}
    reasoning = {"type": "reasoning", "id": "rs_abc_0", "status": "completed", "summary": []}
    text = {"type": "output_text", "text": "Yes.", "annotations": [], "logprobs": []}
    message = {"type": "message", "id": "msg_abc_1", "status": "completed", "role": "assistant"}
    call = {
        "type": "function_call",
        "id": "fc_abc_2",
        "status": "completed",
        "call_id": "call_1",
        "name": "add",
        "arguments": '{"a":1}',
    }
    in_reasoning = {"item_id": "rs_abc_0", "output_index": 0}
    in_message = {"item_id": "msg_abc_1", "output_index": 1}
    in_call = {"item_id": "fc_abc_2", "output_index": 2}
    output = [reasoning | {"content": [thoughts]}, message | {"content": [text]}, call]
    done = begun | {
        "status": "completed",
        "completed_at": 1234,
        "output": output,
        "usage": USAGE_OBJECT,
    }
    running = {"status": "in_progress"}
    first = {"content_index": 0}
    expected: list[tuple[str, dict[str, Any]]] = [
        ("created", {"response": begun}),
        ("in_progress", {"response": begun}),
        ("output_item.added", {"output_index": 0, "item": reasoning | running | {"content": []}}),
        ("content_part.added", in_reasoning | first | {"part": thoughts | {"text": ""}}),
        ("reasoning_text.delta", in_reasoning | first | {"delta": "Hm."}),
        ("reasoning_text.done", in_reasoning | first | {"text": "Hm."}),
        ("content_part.done", in_reasoning | first | {"part": thoughts}),
        ("output_item.done", {"output_index": 0, "item": output[0]}),
        ("output_item.added", {"output_index": 1, "item": message | running | {"content": []}}),
        ("content_part.added", in_message | first | {"part": text | {"text": ""}}),
        ("output_text.delta", in_message | first | {"delta": "Yes", "logprobs": []}),
        ("output_text.delta", in_message | first | {"delta": ".", "logprobs": []}),
        ("output_text.done", in_message | first | {"text": "Yes.", "logprobs": []}),
        ("content_part.done", in_message | first | {"part": text}),
        ("output_item.done", {"output_index": 1, "item": output[1]}),
        ("output_item.added", {"output_index": 2, "item": call | running | {"arguments": ""}}),
        ("function_call_arguments.delta", in_call | {"delta": '{"a":'}),
        ("function_call_arguments.delta", in_call | {"delta": "1}"}),
        ("function_call_arguments.done", in_call | {"arguments": '{"a":1}'}),
        ("output_item.done", {"output_index": 2, "item": call}),
        ("completed", {"response": done}),
    ]

    found = stream(
        [
            Prefill(0, 5),
            Prefill(5, 5),
            ReasoningDelta("Hm."),
            TextDelta("Yes"),
            TextDelta("."),
            ToolCallDelta(0, id="call_1", name="add"),
            ToolCallDelta(0, arguments='{"a":'),
            ToolCallDelta(0, arguments="1}"),
            ChoiceFinished(FinishReason.TOOL_CALLS),
            Finished(USAGE),
        ]
    )

    assert [
        {"type": f"response.{kind}", "sequence_number": number} | fields
        for number, (kind, fields) in enumerate(expected)
    ] == found


def test_reasoning_as_a_summary() -> None:
    """Who asks for a summary gets the whole reasoning as one, whole and as events."""
    events = [ReasoningDelta("Hm"), ReasoningDelta("."), STOP, Finished(USAGE)]
    fields = {"reasoning": {"summary": "auto"}}
    item = {
        "type": "reasoning",
        "id": "rs_abc_0",
        "status": "completed",
        "summary": [{"type": "summary_text", "text": "Hm."}],
    }

    found = stream(events, **fields)

    assert [item] == whole(events, **fields)["output"]
    assert [
        "response.output_item.added",
        "response.reasoning_summary_part.added",
        "response.reasoning_summary_text.delta",
        "response.reasoning_summary_text.delta",
        "response.reasoning_summary_text.done",
        "response.reasoning_summary_part.done",
        "response.output_item.done",
    ] == [event["type"] for event in found[2:-1]]
    assert item == found[-2]["item"]


def test_an_answer_that_was_cut_off_is_incomplete() -> None:
    """The response and its last item say so; the items before are complete."""
    events = [
        ReasoningDelta("Hm."),
        TextDelta("Yes"),
        ChoiceFinished(FinishReason.LENGTH),
        Finished(USAGE),
    ]

    response = whole(events)

    assert ("incomplete", {"reason": "max_output_tokens"}, None) == (
        response["status"],
        response["incomplete_details"],
        response["completed_at"],
    )
    assert ["completed", "incomplete"] == [item["status"] for item in response["output"]]
    last = stream(events)[-1]
    assert ("response.incomplete", response) == (last["type"], last["response"])


def test_logprobs() -> None:
    """They go with the pieces and with the whole text, also those of tokens without text."""
    token = TokenLogprob(1, b"Y", -0.5, (TokenLogprob(2, b"N", -1.0),))
    events = [TextDelta("", logprobs=(token,)), TextDelta("Y"), STOP, Finished(USAGE)]
    expected = {
        "token": "Y",
        "logprob": -0.5,
        "bytes": [89],
        "top_logprobs": [{"token": "N", "logprob": -1.0, "bytes": [78]}],
    }

    (item,) = whole(events)["output"]
    deltas = [event for event in stream(events) if event["type"].endswith("text.delta")]

    assert [expected] == item["content"][0]["logprobs"]
    assert [[expected], []] == [event["logprobs"] for event in deltas]


def test_a_request_that_waits_is_told_by_comments() -> None:
    """No event comes before the response was begun."""
    made = encoder(stream=True)

    assert b": queued, 2 before this one\n\n" == made.feed(Queued(2))
    assert b": loading: weights 50%\n\n" == made.feed(Loading("weights", 0.5))


def test_a_failure_after_the_first_byte_is_an_event() -> None:
    """The response failed, with what was there; a failure without any beginning begins it."""
    cases: list[tuple[StokerError, str]] = [
        (RunnerCrashedError("x"), "server_error"),
        (TooManyRequestsError("x", retry_after_s=1), "rate_limit_exceeded"),
        (InvalidRequestError("x"), "invalid_prompt"),
    ]
    for error, code in cases:
        *_, last = stream([Prefill(5, 5), TextDelta("Ye"), Failed(error)])
        assert "response.failed" == last["type"]
        assert ("failed", {"code": code, "message": "x"}) == (
            last["response"]["status"],
            last["response"]["error"],
        )
        assert ["incomplete"] == [item["status"] for item in last["response"]["output"]]
    assert ["response.created", "response.in_progress", "response.failed"] == [
        event["type"] for event in stream([Failed(RunnerCrashedError("x"))])
    ]


def test_a_failure_of_a_whole_response_is_an_error_object() -> None:
    """Also when the transport asks the encoder for it."""
    body = json.loads(encoder().feed(Failed(RunnerCrashedError("It died."))))

    assert "It died." == body["error"]["message"]


def test_what_is_kept() -> None:
    """The response as the client got it, and the conversation with all that lists show."""
    made = encoder(input=[{"role": "user", "content": "Hi"}], instructions="Not kept.")
    assert made.record is None
    body = feed(made, [TextDelta("Ho"), STOP, Finished(USAGE)])

    record = made.record

    assert record is not None
    assert ("resp_abc", 1234) == (record.id, record.created_s)
    kept = json.loads(record.data)
    assert json.loads(body) == kept["response"]
    assert [
        {
            "type": "message",
            "id": "item_resp_abc_0",
            "status": "completed",
            "role": "user",
            "content": [{"type": "input_text", "text": "Hi"}],
        }
    ] == kept["items"]


def test_what_is_not_kept() -> None:
    """Nothing is when the request says so, or the server; the response tells."""
    events = [TextDelta("Ho"), STOP, Finished(USAGE)]
    nowhere = attrs.evolve(CONTEXT, archived=False)
    for made in (encoder(store=False), encoder(context=nowhere)):
        assert json.loads(feed(made, events))["store"] is False
        assert made.record is None


@given(answers())
def test_a_stream_says_what_a_whole_response_says(events: list[Event]) -> None:
    """The last event has the response of the other encoder, and the pieces make up its items."""
    response = whole(events)
    found = stream(events)

    assert response == found[-1]["response"]
    assert list(range(len(found))) == [event["sequence_number"] for event in found]
    assert response["output"] == [
        event["item"] for event in found if event["type"] == "response.output_item.done"
    ]
    texts: dict[int, str] = {}
    for event in found:
        if event["type"].endswith(".delta"):
            index = event["output_index"]
            texts[index] = texts.get(index, "") + event["delta"]
    for index, item in enumerate(response["output"]):
        expected = item["arguments"] if "arguments" in item else item["content"][0]["text"]
        assert expected == texts.get(index, "")
