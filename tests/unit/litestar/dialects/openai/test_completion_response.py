"""Encoding of text completions."""

from __future__ import annotations

import json
from typing import Any

from encoded import feed
from hypothesis import given
from hypothesis import strategies as st

from stoker.errors import RunnerCrashedError
from stoker.events import (
    ChoiceFinished,
    Echo,
    Event,
    Failed,
    Finished,
    FinishReason,
    Prefill,
    TextDelta,
    TokenLogprob,
)
from stoker.version import __version__
from stoker_litestar.dialects.openai.completion_response import (
    CompletionEncoder,
    CompletionStreamEncoder,
)

from .conftest import CONTEXT, USAGE, N, answers, chunks, reasoning_deltas, sse_data, text_deltas

HELLO: list[Event] = [
    Prefill(5, 5),
    TextDelta("Hel"),
    TextDelta("lo"),
    ChoiceFinished(FinishReason.LENGTH),
    Finished(USAGE),
]
HEAD = (
    b'data: {"id":"cmpl-abc","object":"text_completion","created":1234,"model":"m",'
    b'"system_fingerprint":"stoker-%b","choices":[' % __version__.encode()
)


def whole(events: list[Event], *, n: int = 1) -> dict[str, Any]:
    encoder = CompletionEncoder(CONTEXT, model="m", n=n)
    answer: dict[str, Any] = json.loads(feed(encoder, events))
    return answer


def stream(events: list[Event], *, n: int = 1, include_usage: bool = False) -> bytes:
    encoder = CompletionStreamEncoder(CONTEXT, model="m", n=n, include_usage=include_usage)
    return feed(encoder, events)


def test_a_whole_answer() -> None:
    """The object has the fields of the API."""
    answer = whole(HELLO)

    assert ("cmpl-abc", "text_completion", 1234) == (
        answer["id"],
        answer["object"],
        answer["created"],
    )
    assert [{"text": "Hello", "index": 0, "logprobs": None, "finish_reason": "length"}] == answer[
        "choices"
    ]
    assert 9 == answer["usage"]["total_tokens"]


def test_a_stream_to_the_letter() -> None:
    """Chunks have OpenAI's form and order."""
    assert (
        HEAD
        + b'{"text":"Hel","index":0,"logprobs":null,"finish_reason":null}]}\n\n'
        + HEAD
        + b'{"text":"lo","index":0,"logprobs":null,"finish_reason":null}]}\n\n'
        + HEAD
        + b'{"text":"","index":0,"logprobs":null,"finish_reason":"length"}]}\n\n'
        + b"data: [DONE]\n\n"
    ) == stream(HELLO)


def test_usage_comes_last_when_asked_for() -> None:
    """All chunks but the last have null, the last has no choices."""
    *before, last = chunks(stream(HELLO, include_usage=True))

    assert {None} == {chunk["usage"] for chunk in before}
    assert ([], 9) == (last["choices"], last["usage"]["total_tokens"])


def test_an_echo_comes_first_and_once() -> None:
    """Every choice begins with the prompt when that was asked for."""
    events = [HELLO[0], Echo("Say "), Echo("Say ", index=1), *HELLO[1:]]
    texts = [
        (chunk["choices"][0]["index"], chunk["choices"][0]["text"])
        for chunk in chunks(stream(events, n=2))
    ]

    assert [(0, "Say "), (1, "Say "), (0, "Hel"), (0, "lo"), (0, "")] == texts
    assert "Say Hello" == whole(events, n=2)["choices"][0]["text"]


def test_an_echo_with_logprobs() -> None:
    """The prompt's tokens stand before the answer's; the first has nothing before it."""
    prompt = (
        TokenLogprob(7, b"Say", 0.0),
        TokenLogprob(8, b" ", -3.0, (TokenLogprob(9, b"?", -0.25),)),
    )
    token = TokenLogprob(1, b"a", -0.5, (TokenLogprob(1, b"a", -0.5),))
    events: list[Event] = [
        HELLO[0],
        Echo("Say ", prompt),
        TextDelta("a", 0, (token,)),
        *HELLO[-2:],
    ]

    answer = whole(events)["choices"][0]
    pieces = [chunk["choices"][0] for chunk in chunks(stream(events))]

    assert "Say a" == answer["text"]
    assert {
        "tokens": ["Say", " ", "a"],
        "token_logprobs": [None, -3.0, -0.5],
        "top_logprobs": [None, {"?": -0.25}, {"a": -0.5}],
        "text_offset": [0, 3, 4],
    } == answer["logprobs"]
    assert [["Say", " "], ["a"]] == [
        piece["logprobs"]["tokens"] for piece in pieces if piece["logprobs"]
    ]


def test_logprobs() -> None:
    """Parallel lists, with offsets in characters, also for tokens that are parts of one."""
    tokens = (
        TokenLogprob(1, b"a", -0.5, (TokenLogprob(1, b"a", -0.5), TokenLogprob(2, b"b", -1.0))),
        TokenLogprob(3, b"\xe2\x82", -2.0, (TokenLogprob(3, b"\xe2\x82", -2.0),)),
        TokenLogprob(4, b"\xac", float("-inf")),
        TokenLogprob(5, b"z", -1.0),
    )
    events: list[Event] = [
        Prefill(5, 5),
        TextDelta("a€", 0, tokens[:3]),
        TextDelta("z", 0, tokens[3:]),
        *HELLO[-2:],
    ]

    answer = whole(events)["choices"][0]["logprobs"]
    _, last, _ = [chunk["choices"][0]["logprobs"] for chunk in chunks(stream(events))]

    assert {
        "tokens": ["a", "bytes:\\xe2\\x82", "bytes:\\xac", "z"],
        "token_logprobs": [-0.5, -2.0, -9999.0, -1.0],
        "top_logprobs": [{"a": -0.5, "b": -1.0}, {"bytes:\\xe2\\x82": -2.0}, {}, {}],
        "text_offset": [0, 1, 1, 2],
    } == answer
    assert {
        "tokens": ["z"],
        "token_logprobs": [-1.0],
        "top_logprobs": None,
        "text_offset": [2],
    } == last


def test_a_failure_ends_the_stream_without_done() -> None:
    """The error is an event that clients turn into their own error."""
    events: list[Event] = [*HELLO[:2], Failed(RunnerCrashedError("It died."))]

    assert "runner_crashed" == json.loads(sse_data(stream(events))[-1])["error"]["code"]


@given(answers(st.one_of(text_deltas, reasoning_deltas)))
def test_a_stream_joined_is_the_whole_answer(events: list[Event]) -> None:
    """Streaming or not, a client ends up with the same text and tokens."""
    joined: list[dict[str, Any]] = [{"text": "", "tokens": [], "offsets": []} for _ in range(N)]
    for chunk in chunks(stream(events, n=N)):
        (choice,) = chunk["choices"]
        into, logprobs = joined[choice["index"]], choice["logprobs"] or {}
        into["text"] += choice["text"]
        into["tokens"] += logprobs.get("tokens", [])
        into["offsets"] += logprobs.get("text_offset", [])
        into["finish_reason"] = choice["finish_reason"]

    assert joined == [
        {
            "text": choice["text"],
            "tokens": (choice["logprobs"] or {}).get("tokens", []),
            "offsets": (choice["logprobs"] or {}).get("text_offset", []),
            "finish_reason": choice["finish_reason"],
        }
        for choice in whole(events, n=N)["choices"]
    ]
