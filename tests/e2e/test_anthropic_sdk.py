"""The real `anthropic` package against the real server: a scripted model, one on each engine."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from typing import Any

import anthropic
import pytest
from stoker_process import ACTING_MODEL, MODEL, Server

TOOL: Any = {
    "name": "get_weather",
    "description": "Tells the weather.",
    "input_schema": {
        "type": "object",
        "properties": {"city": {"type": "string"}, "days": {"type": "integer"}},
        "required": ["city", "days"],
    },
}
TIME: Any = {"name": "get_time", "input_schema": {"type": "object", "properties": {}}}
ASKED: Any = [{"role": "user", "content": "Use get_weather, please."}]


@pytest.fixture(scope="module")
def client(stage: Server) -> Iterator[anthropic.Anthropic]:
    with anthropic.Anthropic(base_url=stage.url, api_key="none", max_retries=0) as made:
        yield made


@pytest.fixture(scope="module")
def small(served: Server) -> Iterator[anthropic.Anthropic]:
    with anthropic.Anthropic(base_url=served.url, api_key="none", max_retries=0) as made:
        yield made


def text_of(message: Any) -> str:
    return "".join(block.text for block in message.content if block.type == "text")


def test_a_conversation(client: anthropic.Anthropic) -> None:
    """All of it reaches the model, the system prompt as well."""
    message = client.messages.create(
        model=ACTING_MODEL,
        max_tokens=100,
        system="Be brief.",
        messages=[
            {"role": "user", "content": "Hi"},
            {"role": "assistant", "content": "Ho"},
            {"role": "user", "content": "Again"},
        ],
    )

    assert "(4) You said: Again" == text_of(message)
    assert "end_turn" == message.stop_reason


def test_a_round_trip_of_tools(client: anthropic.Anthropic) -> None:
    """The helper joins the call of a stream; its result brings the answer."""
    with client.messages.stream(
        model=ACTING_MODEL, max_tokens=100, messages=ASKED, tools=[TOOL]
    ) as stream:
        partial = "".join(event.partial_json for event in stream if event.type == "input_json")
        message = stream.get_final_message()
    (call,) = message.content
    assert "tool_use" == call.type

    answer = client.messages.create(
        model=ACTING_MODEL,
        max_tokens=100,
        tools=[TOOL],
        messages=[
            *ASKED,
            {"role": "assistant", "content": message.content},
            {
                "role": "user",
                "content": [{"type": "tool_result", "tool_use_id": call.id, "content": "Rain."}],
            },
        ],
    )

    assert ("get_weather", {"city": "something", "days": 1}) == (call.name, call.input)
    assert "tool_use" == message.stop_reason
    assert call.input == json.loads(partial)
    assert "The tool said: Rain." == text_of(answer)


@pytest.mark.parametrize(
    ("choice", "called"),
    [
        ({"type": "auto"}, ["get_weather", "get_time"]),
        ({"type": "auto", "disable_parallel_tool_use": True}, ["get_weather"]),
        ({"type": "tool", "name": "get_time"}, ["get_time"]),
        ({"type": "none"}, []),
    ],
)
def test_tool_choices(client: anthropic.Anthropic, choice: Any, called: list[str]) -> None:
    """The choice decides what is called, and how much of it at once."""
    message = client.messages.create(
        model=ACTING_MODEL,
        max_tokens=100,
        tools=[TOOL, TIME],
        tool_choice=choice,
        messages=[{"role": "user", "content": "Use get_weather and get_time."}],
    )

    assert called == [block.name for block in message.content if block.type == "tool_use"]


def test_the_runner_of_tools(client: anthropic.Anthropic) -> None:
    """The client's own loop calls a Python function, and ends with the answer."""
    cities: list[str] = []

    @anthropic.beta_tool
    def get_weather(city: str) -> str:
        """Tells the weather.

        Args:
            city: Where.
        """
        cities.append(city)
        return "Rain."

    runner = client.beta.messages.tool_runner(
        model=ACTING_MODEL, max_tokens=100, tools=[get_weather], messages=ASKED
    )
    message = runner.until_done()

    assert ["something"] == cities
    assert "The tool said: Rain." == text_of(message)


def test_thinking(client: anthropic.Anthropic) -> None:
    """Thinking is a block of its own that can be sent back, and is off unless asked for."""
    asked: Any = [{"role": "user", "content": "Hi"}]
    with client.messages.stream(
        model=ACTING_MODEL,
        max_tokens=2000,
        thinking={"type": "enabled", "budget_tokens": 1024},
        messages=asked,
    ) as stream:
        message = stream.get_final_message()
    thinking, text = message.content
    plain = client.messages.create(
        model=ACTING_MODEL,
        max_tokens=100,
        messages=[*asked, {"role": "assistant", "content": message.content}, *asked],
    )

    assert "thinking" == thinking.type
    assert "Let me think." == thinking.thinking
    assert "text" == text.type
    assert ["text"] == [block.type for block in plain.content]


def test_images_are_seen_by_who_can(
    client: anthropic.Anthropic, small: anthropic.Anthropic
) -> None:
    """A model that sees gets the image; one that does not is told so, by a proper error."""
    data = base64.b64encode(b"\x89PNG").decode()
    asked: Any = [
        {
            "role": "user",
            "content": [
                {
                    "type": "image",
                    "source": {"type": "base64", "media_type": "image/png", "data": data},
                }
            ],
        }
    ]

    message = client.messages.create(model=ACTING_MODEL, max_tokens=100, messages=asked)
    with pytest.raises(anthropic.BadRequestError, match="image"):
        small.messages.create(model=MODEL, max_tokens=100, messages=asked)

    assert "I see a picture." == text_of(message)


def test_models(client: anthropic.Anthropic) -> None:
    """They are listed and found in Anthropic's form."""
    assert [ACTING_MODEL] == [model.id for model in client.models.list()]
    assert ACTING_MODEL == client.models.retrieve(ACTING_MODEL).id


def test_errors(client: anthropic.Anthropic) -> None:
    """The client sees its own classes of errors, with the request's id."""
    with pytest.raises(anthropic.NotFoundError) as caught:
        client.messages.create(
            model="ai/none", max_tokens=9, messages=[{"role": "user", "content": "Hi"}]
        )

    assert caught.value.request_id


def test_a_real_model_answers(small: anthropic.Anthropic) -> None:
    """A greedy question gets the known answer, whole and as a stream, with exact usage."""
    asked: Any = [
        {"role": "user", "content": "What is the capital of France? Answer in one sentence."}
    ]
    fields: Any = {"model": MODEL, "max_tokens": 30, "messages": asked}
    fields["extra_body"] = {"temperature": 0}

    whole = small.messages.create(**fields)
    with small.messages.stream(**fields) as stream:
        streamed = stream.get_final_message()
    count = small.messages.count_tokens(model=MODEL, messages=asked)

    assert "Paris" in text_of(whole)
    assert "end_turn" == whole.stop_reason
    assert "Paris" in text_of(streamed)
    for message in (whole, streamed):
        usage = message.usage
        assert count.input_tokens == usage.input_tokens + (usage.cache_read_input_tokens or 0)
        assert 3 < usage.output_tokens <= 30


def test_a_real_model_stops_where_it_is_told(small: anthropic.Anthropic) -> None:
    """The sequence is told, and a short limit is another reason."""
    asked: Any = [
        {"role": "user", "content": "What is the capital of France? Answer in one sentence."}
    ]
    fields: Any = {"model": MODEL, "messages": asked, "extra_body": {"temperature": 0}}

    stopped = small.messages.create(max_tokens=30, stop_sequences=[" Paris"], **fields)
    cut_off = small.messages.create(max_tokens=2, **fields)

    assert ("stop_sequence", " Paris") == (stopped.stop_reason, stopped.stop_sequence)
    assert "Paris" not in text_of(stopped)
    assert "max_tokens" == cut_off.stop_reason
