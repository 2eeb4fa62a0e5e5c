from __future__ import annotations

import json

import pytest

from stoker.errors import InvalidRequestError, OverloadedError
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
    Usage,
)
from stoker.messages import Author, Message, TextPart
from stoker.request import ChatPrompt, GenerateRequest, TextPrompt
from stoker_example.lines.wire import decode, encode


def test_reads_a_prompt() -> None:
    """A prompt is plain text to continue."""

    assert GenerateRequest("m", TextPrompt("Hi"), max_tokens=3) == decode(
        b'{"model": "m", "prompt": "Hi", "max_tokens": 3}'
    )


def test_reads_a_conversation() -> None:
    """Messages are a chat."""
    line = b'{"model": "m", "messages": [{"role": "user", "content": "Hi"}]}'

    assert ChatPrompt((Message(Author.USER, (TextPart("Hi"),)),)) == decode(line).prompt


@pytest.mark.parametrize(
    ("line", "words"),
    [
        (b"", "not a request"),
        (b"[]", "not a request"),
        (b"\xff", "not a request"),
        (b'{"model": "m"}', "either"),
        (b'{"model": "m", "prompt": "a", "messages": []}', "either"),
        (b'{"model": "m", "prompt": "a", "temperature": 1}', "temperature"),
        (b'{"model": "m", "messages": [{"role": "god", "content": "a"}]}', "god"),
        (b'{"model": "m", "prompt": "a", "max_tokens": 0}', "max_tokens"),
    ],
)
def test_refuses_what_is_no_request(line: bytes, words: str) -> None:
    """A wrong line is an `InvalidRequestError` that says what is wrong."""

    with pytest.raises(InvalidRequestError, match=words):
        decode(line)


@pytest.mark.parametrize(
    ("event", "reply"),
    [
        (TextDelta("a\nb"), {"text": "a\nb"}),
        (ReasoningDelta("hm"), {"reasoning": "hm"}),
        (ChoiceFinished(FinishReason.LENGTH), {"finish": "length"}),
        (
            Finished(Usage(prompt_tokens=2, completion_tokens=3)),
            {"done": True, "usage": {"prompt_tokens": 2, "completion_tokens": 3}},
        ),
        (Failed(OverloadedError("Full.", retry_after_s=1)), {"error": "Full."}),
    ],
)
def test_writes_one_line_per_event(event: Event, reply: dict[str, object]) -> None:
    """Each event that a client sees is one line of JSON."""
    data = encode(event)

    assert 1 == data.count(b"\n")
    assert reply == json.loads(data)


@pytest.mark.parametrize("event", [Queued(1), Loading("reading"), Prefill(1, 2), TextDelta("")])
def test_writes_nothing_for_the_rest(event: Event) -> None:
    """What happens before the answer is not told."""

    assert b"" == encode(event)
