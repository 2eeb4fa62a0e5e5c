"""Encoding of chat completions."""

from __future__ import annotations

import json
from typing import Any

from encoded import feed
from hypothesis import given
from hypothesis import strategies as st

from stoker.errors import RunnerCrashedError
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
from stoker.version import __version__
from stoker_litestar.dialects.openai.chat_response import ChatEncoder, ChatStreamEncoder

from .conftest import (
    CONTEXT,
    USAGE,
    N,
    answers,
    chunks,
    reasoning_deltas,
    sse_data,
    text_deltas,
    tool_call_deltas,
)

HELLO: list[Event] = [
    Prefill(5, 5),
    TextDelta("Hel"),
    TextDelta('lo\n"'),
    ChoiceFinished(FinishReason.STOP),
    Finished(USAGE, Timings(0.0125, 1.5)),
]
HEAD = (
    b'data: {"id":"chatcmpl-abc","object":"chat.completion.chunk","created":1234,"model":"m",'
    b'"system_fingerprint":"stoker-%b","choices":[' % __version__.encode()
)
END = b',"logprobs":null,"finish_reason":null}]}\n\n'


def whole(events: list[Event], *, n: int = 1) -> dict[str, Any]:
    answer: dict[str, Any] = json.loads(feed(ChatEncoder(CONTEXT, model="m", n=n), events))
    return answer


def stream(events: list[Event], *, n: int = 1, include_usage: bool = False) -> bytes:
    encoder = ChatStreamEncoder(CONTEXT, model="m", n=n, include_usage=include_usage)
    return feed(encoder, events)


def test_a_whole_answer() -> None:
    """The object has every field that strict clients expect."""
    assert {
        "id": "chatcmpl-abc",
        "object": "chat.completion",
        "created": 1234,
        "model": "m",
        "system_fingerprint": f"stoker-{__version__}",
        "choices": [
            {
                "index": 0,
                "message": {
                    "role": "assistant",
                    "content": 'Hello\n"',
                    "refusal": None,
                    "annotations": [],
                },
                "logprobs": None,
                "finish_reason": "stop",
            }
        ],
        "usage": {
            "prompt_tokens": 5,
            "completion_tokens": 4,
            "total_tokens": 9,
            "prompt_tokens_details": {"cached_tokens": 3, "audio_tokens": 0},
            "completion_tokens_details": {
                "reasoning_tokens": 1,
                "audio_tokens": 0,
                "accepted_prediction_tokens": 0,
                "rejected_prediction_tokens": 0,
            },
        },
        "timings": {
            "cache_n": 3,
            "prompt_n": 2,
            "prompt_ms": 12.5,
            "predicted_n": 4,
            "predicted_ms": 1500.0,
            "draft_n": 0,
            "draft_n_accepted": 0,
            "preemptions": 0,
        },
    } == whole(HELLO)


def test_a_stream_to_the_letter() -> None:
    """Chunks have OpenAI's form and order."""
    assert (
        HEAD
        + b'{"index":0,"delta":{"role":"assistant","content":"","refusal":null}'
        + END
        + HEAD
        + b'{"index":0,"delta":{"content":"Hel"}'
        + END
        + HEAD
        + b'{"index":0,"delta":{"content":"lo\\n\\""}'
        + END
        + HEAD
        + b'{"index":0,"delta":{},"logprobs":null,"finish_reason":"stop"}]}\n\n'
        + b"data: [DONE]\n\n"
    ) == stream(HELLO)


def test_waiting_is_said_in_comments() -> None:
    """The first chunk comes when the request was accepted, and once."""
    encoder = ChatStreamEncoder(CONTEXT, model="m", n=1, include_usage=False)
    waiting = [Queued(1), Loading("starting"), Loading("reading", 0.5)]

    assert (
        b": queued, 1 before this one\n\n: loading: starting\n\n: loading: reading 50%\n\n"
        == feed(encoder, waiting)
    )
    assert 1 == len(sse_data(encoder.feed(Prefill(0, 5))))
    assert b"" == encoder.feed(Prefill(5, 5))


def test_usage_comes_last_when_asked_for() -> None:
    """All chunks but the last have null, the last has no choices."""
    *before, last = chunks(stream(HELLO, include_usage=True))

    assert {None} == {chunk["usage"] for chunk in before}
    assert [] == last["choices"]
    assert 9 == last["usage"]["total_tokens"]
    assert 1500.0 == last["timings"]["predicted_ms"]


def test_no_usage_without_asking() -> None:
    """The field is not even there."""
    assert not any("usage" in chunk for chunk in chunks(stream(HELLO)))


def test_tool_calls() -> None:
    """The first piece carries id, type and name; a message of calls alone has no content."""
    events: list[Event] = [
        Prefill(5, 5),
        ToolCallDelta(0, id="c1", name="add"),
        ToolCallDelta(0, arguments="{}"),
        ChoiceFinished(FinishReason.TOOL_CALLS),
        Finished(USAGE),
    ]

    deltas = [chunk["choices"][0]["delta"] for chunk in chunks(stream(events))]
    message = whole(events)["choices"][0]["message"]

    assert [
        {
            "tool_calls": [
                {
                    "index": 0,
                    "id": "c1",
                    "type": "function",
                    "function": {"arguments": "", "name": "add"},
                }
            ]
        },
        {"tool_calls": [{"index": 0, "function": {"arguments": "{}"}}]},
    ] == deltas[1:-1]
    assert None is message["content"]
    assert [
        {"id": "c1", "type": "function", "function": {"name": "add", "arguments": "{}"}}
    ] == message["tool_calls"]


def test_reasoning_has_a_field_of_its_own() -> None:
    """What the model thinks is not part of the answer."""
    events: list[Event] = [Prefill(5, 5), ReasoningDelta("Hm."), *HELLO[1:]]

    assert {"reasoning_content": "Hm."} == chunks(stream(events))[1]["choices"][0]["delta"]
    assert "Hm." == whole(events)["choices"][0]["message"]["reasoning_content"]


def test_logprobs() -> None:
    """Tokens come with bytes and alternatives; what JSON cannot hold is as low as OpenAI's."""
    top = TokenLogprob(8, b"\xe2\x82", float("-inf"))
    token = TokenLogprob(7, b"Hi", -0.5, (top,))
    events: list[Event] = [Prefill(5, 5), TextDelta("Hi", 0, (token,)), *HELLO[-2:]]
    expected = {
        "content": [
            {
                "token": "Hi",
                "logprob": -0.5,
                "bytes": [72, 105],
                "top_logprobs": [{"token": "�", "logprob": -9999.0, "bytes": [226, 130]}],
            }
        ],
        "refusal": None,
    }

    assert expected == chunks(stream(events))[1]["choices"][0]["logprobs"]
    assert expected == whole(events)["choices"][0]["logprobs"]


def test_a_failure_ends_the_stream_without_done() -> None:
    """The error is an event that clients turn into their own error."""
    events: list[Event] = [*HELLO[:2], Failed(RunnerCrashedError("It died."))]

    last = sse_data(stream(events))[-1]

    assert {
        "error": {
            "message": "It died.",
            "type": "server_error",
            "param": None,
            "code": "runner_crashed",
        }
    } == json.loads(last)


def test_a_model_name_cannot_break_the_frame() -> None:
    """Names that look like JSON stay text."""
    name = '","choices":[],"'
    encoder = ChatStreamEncoder(CONTEXT, model=name, n=1, include_usage=False)

    assert {name} == {chunk["model"] for chunk in chunks(feed(encoder, HELLO))}


@given(answers(st.one_of(text_deltas, reasoning_deltas, tool_call_deltas)))
def test_a_stream_joined_is_the_whole_answer(events: list[Event]) -> None:
    """Streaming or not, a client ends up with the same message."""
    joined: list[dict[str, Any]] = [
        {"content": "", "reasoning": "", "calls": {}, "logprobs": []} for _ in range(N)
    ]
    for chunk in chunks(stream(events, n=N)):
        (choice,) = chunk["choices"]
        message, delta = joined[choice["index"]], choice["delta"]
        message["content"] += delta.get("content") or ""
        message["reasoning"] += delta.get("reasoning_content", "")
        message["logprobs"] += (choice["logprobs"] or {}).get("content", [])
        for call in delta.get("tool_calls", ()):
            known = message["calls"].setdefault(
                call["index"], call | {"function": {"arguments": ""}}
            )
            known["function"]["name"] = call["function"].get("name") or known["function"]["name"]
            known["function"]["arguments"] += call["function"]["arguments"]
        message["finish_reason"] = choice["finish_reason"]

    for choice, message in zip(whole(events, n=N)["choices"], joined, strict=True):
        answer = choice["message"]
        assert (answer["content"] or "") == message["content"]
        assert answer.get("reasoning_content", "") == message["reasoning"]
        assert (choice["logprobs"] or {}).get("content", []) == message["logprobs"]
        assert choice["finish_reason"] == message["finish_reason"]
        calls = [call for _, call in sorted(message["calls"].items())]
        assert answer.get("tool_calls", []) == [
            {key: value for key, value in call.items() if key != "index"} for call in calls
        ]
