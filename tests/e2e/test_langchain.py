"""LangChain's own packages for OpenAI, Anthropic and Ollama against the real server."""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from http_clients import clients_closed
from stoker_process import Server

pytestmark = [
    pytest.mark.model,
    # What the packages warn of is their own affair.
    pytest.mark.filterwarnings("ignore"),
]

MAKERS = ("openai", "anthropic", "ollama")
Make = Callable[..., Any]


@pytest.fixture(scope="module", autouse=True)
def _offline() -> Iterator[None]:
    """Nothing of a run is reported to anybody, and no connection stays open."""
    with pytest.MonkeyPatch.context() as patch, clients_closed():
        patch.setenv("LANGSMITH_TRACING", "false")
        yield


@pytest.fixture
def chat(client_models: Server) -> Make:
    """Makes a chat model of one of the packages."""
    url = client_models.url

    def make(maker: str, model: str = "test/player", **fields: Any) -> Any:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            match maker:
                case "openai":
                    from langchain_openai import ChatOpenAI  # noqa: PLC0415 - as below: slow

                    return ChatOpenAI(
                        model=model, base_url=f"{url}/v1", api_key="none", max_retries=0, **fields
                    )
                case "anthropic":
                    from langchain_anthropic import ChatAnthropic  # noqa: PLC0415

                    return ChatAnthropic(
                        model=model, base_url=url, api_key="none", max_retries=0, **fields
                    )
                case _:
                    from langchain_ollama import ChatOllama  # noqa: PLC0415

                    return ChatOllama(model=model, base_url=url, **fields)

    return make


def get_weather(city: str) -> str:
    """Tell the weather of a city."""
    return f"sunny in {city}"


@pytest.mark.parametrize("maker", MAKERS)
def test_a_chat_is_answered(chat: Make, maker: str) -> None:
    """With the count of its tokens."""
    answer = chat(maker).invoke("Hello there.")

    assert "(1) You said: Hello there." == answer.text
    assert 2 == answer.usage_metadata["output_tokens"]


@pytest.mark.parametrize("maker", MAKERS)
def test_a_chat_is_streamed(chat: Make, maker: str) -> None:
    """The pieces add up to the answer."""
    pieces = list(chat(maker).stream("Hello there."))

    assert "(1) You said: Hello there." == "".join(piece.text for piece in pieces)


@pytest.mark.parametrize("maker", MAKERS)
@pytest.mark.parametrize("stream", [False, True])
def test_a_tool_is_called_and_answers(chat: Make, maker: str, stream: bool) -> None:
    """The message with the call goes back with the tool's result, and the model reads it."""
    from langchain_core.messages import HumanMessage, ToolMessage  # noqa: PLC0415

    model = chat(maker).bind_tools([get_weather])
    question = HumanMessage("Please get_weather for me.")
    if stream:
        first, *rest = model.stream([question])
        for piece in rest:
            first += piece
    else:
        first = model.invoke([question])
    (call,) = first.tool_calls

    assert ("get_weather", {"city": "something"}) == (call["name"], call["args"])

    result = ToolMessage(get_weather(**call["args"]), tool_call_id=call["id"])
    assert "The tool said: sunny in something" == model.invoke([question, first, result]).text


@pytest.mark.parametrize("maker", MAKERS)
def test_an_answer_has_a_structure(chat: Make, maker: str) -> None:
    """By a call, which the package forces where a maker's API can."""
    schema = {
        "title": "weather",
        "description": "The weather.",
        "type": "object",
        "properties": {"city": {"type": "string"}, "degrees": {"type": "integer"}},
        "required": ["city", "degrees"],
    }
    model = chat(maker).with_structured_output(schema, method="function_calling")

    assert {"city": "something", "degrees": 1} == model.invoke("How is the weather?")


@pytest.mark.parametrize("maker", ["openai", "ollama"])
def test_an_answer_keeps_to_a_schema(chat: Make, maker: str) -> None:
    """A real model's, by the maker's field for schemas."""
    schema = {
        "title": "answer",
        "description": "A capital.",
        "type": "object",
        "properties": {"capital": {"type": "string", "maxLength": 12}},
        "required": ["capital"],
        "additionalProperties": False,
    }
    limit = {"num_predict": 60} if maker == "ollama" else {"max_tokens": 60}
    model = chat(maker, "ai/smollm2:135m", temperature=0, **limit)
    structured = model.with_structured_output(schema, method="json_schema", include_raw=True)

    answer = structured.invoke("What is the capital of France?")

    assert {"capital"} == set(json.loads(answer["raw"].text))
    assert {"capital"} == set(answer["parsed"])


@pytest.mark.parametrize("maker", ["openai", "ollama"])
def test_texts_are_embedded(client_models: Server, maker: str) -> None:
    """Each has a vector, the same one whether it is a document or a question."""
    url = client_models.url
    if maker == "openai":
        from langchain_openai import OpenAIEmbeddings  # noqa: PLC0415

        # It would send tokens of OpenAI's own models otherwise.
        embeddings: Any = OpenAIEmbeddings(
            model="ai/tiny", base_url=f"{url}/v1", api_key="none", check_embedding_ctx_length=False
        )
    else:
        from langchain_ollama import OllamaEmbeddings  # noqa: PLC0415

        embeddings = OllamaEmbeddings(model="ai/tiny", base_url=url)

    one, two = embeddings.embed_documents(["one", "two"])

    assert len(one) == len(two)
    assert one != two
    assert one == pytest.approx(embeddings.embed_query("one"))
