"""The real `openai` package asks for responses: of a scripted model, and of one on each engine."""

from __future__ import annotations

import base64
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import attrs
import openai
import pydantic
import pytest
from stoker_process import ACTING_MODEL, ACTOR, MODEL, MakeHome, Server, acting_home

TOOL: Any = {
    "type": "function",
    "name": "get_weather",
    "description": "Tells the weather.",
    "parameters": {
        "type": "object",
        "properties": {"city": {"type": "string"}},
        "required": ["city"],
        "additionalProperties": False,
    },
    "strict": True,
}


@pytest.fixture(scope="module")
def client(stage: Server) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{stage.url}/v1", api_key="none", max_retries=0) as made:
        yield made


@pytest.fixture(scope="module")
def small(served: Server) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{served.url}/v1", api_key="none", max_retries=0) as made:
        yield made


def test_a_conversation_goes_on(client: openai.OpenAI) -> None:
    """Each request sends what is new; the model reads everything."""
    first = client.responses.create(model=ACTING_MODEL, input="Hi")
    second = client.responses.create(
        model=ACTING_MODEL, input="Again", previous_response_id=first.id
    )

    assert "(1) You said: Hi" == first.output_text
    assert "(3) You said: Again" == second.output_text


def test_a_round_trip_of_tools(client: openai.OpenAI) -> None:
    """The helper joins the call of a stream; its output brings the answer."""
    with client.responses.stream(
        model=ACTING_MODEL, input="Use get_weather, please.", tools=[TOOL]
    ) as stream:
        events = list(stream)
        response = stream.get_final_response()
    (call,) = response.output
    assert "function_call" == call.type

    answer = client.responses.create(
        model=ACTING_MODEL,
        previous_response_id=response.id,
        tools=[TOOL],
        input=[{"type": "function_call_output", "call_id": call.call_id, "output": "Rain."}],
    )

    assert ("get_weather", '{"city": "something"}') == (call.name, call.arguments)
    # How many there are is a matter of time: what waits for the same frame becomes one.
    deltas = [
        event.delta for event in events if event.type == "response.function_call_arguments.delta"
    ]
    assert call.arguments == "".join(deltas)
    assert "response.completed" == events[-1].type
    assert "The tool said: Rain." == answer.output_text


def test_a_named_function_must_be_called(client: openai.OpenAI) -> None:
    """Also when nobody speaks of it."""
    response = client.responses.create(
        model=ACTING_MODEL,
        input="Hi",
        tools=[TOOL],
        tool_choice={"type": "function", "name": "get_weather"},
    )

    assert ["function_call"] == [item.type for item in response.output]


def test_reasoning(client: openai.OpenAI) -> None:
    """It is an item of its own, which can be sent back, or stands as its own summary."""
    response = client.responses.create(model=ACTING_MODEL, input="Hi", reasoning={"effort": "low"})
    summary = client.responses.create(
        model=ACTING_MODEL, input="Hi", reasoning={"effort": "low", "summary": "auto"}
    )
    sent_back: Any = [
        {"role": "user", "content": "Hi"},
        *(item.to_dict() for item in response.output),
        {"role": "user", "content": "Again"},
    ]
    again = client.responses.create(model=ACTING_MODEL, input=sent_back, store=False)

    thoughts: Any = response.output[0]
    summarised: Any = summary.output[0]
    assert "Let me think." == thoughts.content[0].text
    assert "Let me think." == summarised.summary[0].text
    assert response.usage is not None
    assert 2 == response.usage.output_tokens_details.reasoning_tokens
    assert "(3) You said: Again" == again.output_text


def test_an_image_is_seen(client: openai.OpenAI) -> None:
    """It stays in the conversation that goes on from it."""
    url = "data:image/png;base64," + base64.b64encode(b"\x89PNG").decode()
    response = client.responses.create(
        model=ACTING_MODEL,
        input=[
            {
                "role": "user",
                "content": [{"type": "input_image", "image_url": url, "detail": "auto"}],
            }
        ],
    )
    client.responses.create(model=ACTING_MODEL, input="Hm", previous_response_id=response.id)

    assert "I see a picture." == response.output_text
    (item,) = client.responses.input_items.list(response.id)
    kept: Any = item
    assert url == kept.content[0].image_url


def test_responses_are_kept_until_they_are_deleted(client: openai.OpenAI, stage: Server) -> None:
    """They are retrieved and listed, then gone; only the home's owner can read the file."""
    response = client.responses.create(model=ACTING_MODEL, input="Hi", metadata={"a": "b"})

    found = client.responses.retrieve(response.id)
    client.responses.delete(response.id)

    assert (response.output_text, {"a": "b"}) == (found.output_text, found.metadata)
    with pytest.raises(openai.NotFoundError):
        client.responses.retrieve(response.id)
    folder = stage.home.path / "state"
    assert {0o600} == {stat.S_IMODE(file.stat().st_mode) for file in folder.iterdir()}


def test_responses_outlive_the_server(make_home: MakeHome, tmp_path: Path) -> None:
    """Another server of the same home goes on from what was kept, unless nothing is to be."""
    home = acting_home(make_home("outlived", PYTHONPATH=str(ACTOR)), tmp_path)

    def answer(previous: str | None = None, **environ: str) -> Any:
        with (
            attrs.evolve(home, environ=home.environ | environ).serve() as server,
            openai.OpenAI(base_url=f"{server.url}/v1", api_key="none", max_retries=0) as sdk,
        ):
            return sdk.responses.create(
                model=ACTING_MODEL, input="Hi", previous_response_id=previous
            )

    first = answer()
    second = answer(first.id)

    assert "(3) You said: Hi" == second.output_text
    with pytest.raises(openai.BadRequestError):
        answer(first.id, STOKER_ARCHIVE__ENABLED="false")
    assert not answer(STOKER_ARCHIVE__ENABLED="false").store


def test_errors(client: openai.OpenAI) -> None:
    """What is wrong is named."""
    with pytest.raises(openai.BadRequestError) as caught:
        client.responses.create(model=ACTING_MODEL, input="Hi", previous_response_id="resp_none")
    assert "previous_response_not_found" == caught.value.code
    with pytest.raises(openai.BadRequestError) as caught:
        client.responses.create(model=ACTING_MODEL, input="Hi", tools=[{"type": "web_search"}])
    assert "tools[0].type" == caught.value.param


class Capital(pydantic.BaseModel):
    city: str


def test_a_real_model_answers(small: openai.OpenAI) -> None:
    """A greedy question gets the known answer, as a stream as well; counts of tokens are exact."""
    fields: Any = {
        "model": MODEL,
        "input": "What is the capital of France? Answer in one sentence.",
        "temperature": 0,
    }

    whole = small.responses.create(max_output_tokens=30, **fields)
    with small.responses.stream(max_output_tokens=30, **fields) as stream:
        streamed = stream.get_final_response()
    count = small.responses.input_tokens.count(model=MODEL, input=fields["input"])
    cut_off = small.responses.create(max_output_tokens=2, **fields)

    assert "Paris" in whole.output_text
    assert "Paris" in streamed.output_text
    assert whole.usage is not None
    assert count.input_tokens == whole.usage.input_tokens
    assert 3 < whole.usage.output_tokens <= 30
    assert "incomplete" == cut_off.status
    assert cut_off.incomplete_details is not None
    assert "max_output_tokens" == cut_off.incomplete_details.reason


def test_a_real_model_is_parsed(small: openai.OpenAI) -> None:
    """The schema of a type is followed, and the client makes the type of it."""
    response = small.responses.parse(
        model=MODEL,
        input="What is the capital of France?",
        text_format=Capital,
        temperature=0,
        max_output_tokens=60,
    )

    assert isinstance(response.output_parsed, Capital)


def test_a_real_model_goes_on(small: openai.OpenAI) -> None:
    """What was read and written before is reused, not computed again."""
    first = small.responses.create(
        model=MODEL, input="What is the capital of France?", temperature=0, max_output_tokens=20
    )
    second = small.responses.create(
        model=MODEL,
        input="And of Italy?",
        previous_response_id=first.id,
        temperature=0,
        max_output_tokens=20,
    )

    assert first.usage is not None
    assert second.usage is not None
    assert second.usage.input_tokens > first.usage.input_tokens
    assert second.usage.input_tokens_details.cached_tokens > 0
