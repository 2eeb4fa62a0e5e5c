"""The real `litellm` package against the server: its routes for OpenAI, Anthropic and Ollama."""

from __future__ import annotations

import json
from collections.abc import Iterator
from types import ModuleType
from typing import Any

import pytest
from bert import WIDTH
from http_clients import clients_closed
from stoker_process import MODEL, Server

pytestmark = [
    pytest.mark.model,
    # What the package warns of is its own affair.
    pytest.mark.filterwarnings("ignore"),
]

ACTING = "test/player"
EMBEDDER = "ai/tiny"
ROUTES = ("openai", "anthropic", "ollama_chat")
HELLO = [{"role": "user", "content": "Hello there."}]
WEATHER = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "Tells the weather of a city.",
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string"}},
            "required": ["city"],
        },
    },
}
CAPITAL = {
    "type": "object",
    "properties": {"capital": {"type": "string", "maxLength": 12}},
    "required": ["capital"],
    "additionalProperties": False,
}


@pytest.fixture(scope="module")
def litellm() -> Iterator[ModuleType]:
    """The package, which would else fetch a list of prices when it is imported."""
    with pytest.MonkeyPatch.context() as patch, clients_closed():
        patch.setenv("LITELLM_LOCAL_MODEL_COST_MAP", "True")
        import litellm as module  # noqa: PLC0415 - it takes seconds, and only these tests need it

        module.telemetry = False
        module.drop_params = False
        yield module


@pytest.fixture
def ask(litellm: ModuleType, client_models: Server) -> Any:
    """Asks by one of the routes."""

    def complete(route: str, model: str = ACTING, **fields: Any) -> Any:
        base = f"{client_models.url}/v1" if route == "openai" else client_models.url
        return litellm.completion(
            model=f"{route}/{model}", api_base=base, api_key="none", max_retries=0, **fields
        )

    return complete


@pytest.mark.parametrize("route", ROUTES)
def test_a_chat_is_answered(ask: Any, route: str) -> None:
    """Whole, with the reason for its end and what it took."""

    answer = ask(route, messages=HELLO)

    choice = answer.choices[0]
    assert ("(1) You said: Hello there.", "stop") == (
        choice.message.content,
        choice.finish_reason,
    )
    assert answer.usage.completion_tokens == 2


@pytest.mark.parametrize("route", ROUTES)
def test_a_chat_is_streamed(ask: Any, route: str) -> None:
    """The pieces are the answer, and the last one says why it ended."""

    chunks = list(ask(route, messages=HELLO, stream=True))

    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks)
    reasons = [chunk.choices[0].finish_reason for chunk in chunks]
    assert "(1) You said: Hello there." == text
    assert ["stop"] == [reason for reason in reasons if reason]


@pytest.mark.parametrize("route", ROUTES)
def test_a_tool_is_called_and_answers(ask: Any, route: str) -> None:
    """The call goes back with its result, and the model reads it."""
    messages: list[Any] = [{"role": "user", "content": "Please get_weather for me."}]
    first = ask(route, messages=messages, tools=[WEATHER])
    (call,) = first.choices[0].message.tool_calls

    assert ("tool_calls", "get_weather") == (first.choices[0].finish_reason, call.function.name)
    assert {"city": "something"} == json.loads(call.function.arguments)

    messages += [
        first.choices[0].message.model_dump(),
        {"role": "tool", "tool_call_id": call.id, "content": "sunny"},
    ]
    second = ask(route, messages=messages, tools=[WEATHER])
    assert "The tool said: sunny" == second.choices[0].message.content


@pytest.mark.parametrize("route", ROUTES)
def test_a_call_is_streamed(ask: Any, litellm: ModuleType, route: str) -> None:
    """The client puts it together of its pieces."""
    messages = [{"role": "user", "content": "Please get_weather for me."}]

    chunks = list(ask(route, messages=messages, tools=[WEATHER], stream=True))

    whole = litellm.stream_chunk_builder(chunks, messages=messages)
    (call,) = whole.choices[0].message.tool_calls
    assert "get_weather" == call.function.name
    assert {"city": "something"} == json.loads(call.function.arguments)


@pytest.mark.parametrize("route", ["openai", "ollama_chat"])
def test_an_answer_keeps_to_a_schema(ask: Any, route: str) -> None:
    """A real model answers in the form that was asked for."""
    form = {
        "type": "json_schema",
        "json_schema": {"name": "answer", "schema": CAPITAL, "strict": True},
    }
    question = [{"role": "user", "content": "What is the capital of France?"}]

    answer = ask(
        route, MODEL, messages=question, response_format=form, temperature=0, max_tokens=60
    )

    assert {"capital"} == set(json.loads(answer.choices[0].message.content))


@pytest.mark.parametrize("route", ["openai", "ollama"])
def test_texts_are_embedded(litellm: ModuleType, client_models: Server, route: str) -> None:
    """Each has a vector."""
    base = f"{client_models.url}/v1" if route == "openai" else client_models.url

    answer = litellm.embedding(
        model=f"{route}/{EMBEDDER}", input=["one", "two"], api_base=base, api_key="none"
    )

    assert [WIDTH, WIDTH] == [len(item["embedding"]) for item in answer.data]


@pytest.mark.parametrize("route", ROUTES)
def test_an_unknown_model_is_not_found(litellm: ModuleType, ask: Any, route: str) -> None:
    """The client's own error says so, with the remedy."""

    with pytest.raises(litellm.NotFoundError) as caught:
        ask(route, "ai/none", messages=HELLO)

    assert "stoker pull" in str(caught.value)
