"""OpenAI's own client asks for responses, of a server on loopback."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import httpx
import openai
import pydantic
import pytest

from stoker.caller import Scope
from stoker.errors import RunnerCrashedError
from stoker.events import (
    ChoiceFinished,
    Failed,
    Finished,
    FinishReason,
    Prefill,
    ReasoningDelta,
    TextDelta,
    Tokenized,
    ToolCallDelta,
    Usage,
)
from stoker.keys import ApiKey, KeyRing, hash_of
from stoker.messages import Author
from stoker.request import ChatPrompt, GenerateRequest, TokenizeRequest
from stoker.testing import ScriptedHost

from .conftest import WAIT_S, Serving

ADD: Any = {
    "type": "function",
    "name": "add",
    "parameters": {"type": "object", "properties": {"a": {"type": "integer"}}},
    "strict": False,
}
CALL = (
    Prefill(3, 3),
    ReasoningDelta("I can "),
    ReasoningDelta("add."),
    ToolCallDelta(0, id="call_1", name="add", arguments='{"a":'),
    ToolCallDelta(0, arguments=" 1}"),
    ChoiceFinished(FinishReason.TOOL_CALLS),
    Finished(Usage(3, 5, reasoning_tokens=2)),
)


def said(scripted: ScriptedHost) -> list[tuple[Author, str]]:
    """The conversation of the last request."""
    request = scripted.requests[-1]
    assert isinstance(request, GenerateRequest | TokenizeRequest)
    assert isinstance(request.prompt, ChatPrompt)
    return [(message.author, message.text) for message in request.prompt.messages]


async def test_a_response(sdk: openai.AsyncOpenAI, scripted: ScriptedHost) -> None:
    """A text is answered, and what the request said comes back with the answer."""
    response = await sdk.responses.create(
        model="ai/smollm2",
        input="Hi",
        instructions="Be brief.",
        max_output_tokens=20,
        metadata={"a": "b"},
    )

    assert "Hello there" == response.output_text
    assert ("completed", "ai/smollm2", 20, {"a": "b"}, "Be brief.") == (
        response.status,
        response.model,
        response.max_output_tokens,
        response.metadata,
        response.instructions,
    )
    assert response.usage is not None
    assert (3, 2, 5) == (
        response.usage.input_tokens,
        response.usage.output_tokens,
        response.usage.total_tokens,
    )
    assert [(Author.SYSTEM, "Be brief."), (Author.USER, "Hi")] == said(scripted)


async def test_the_stream_helper_follows_a_text(sdk: openai.AsyncOpenAI) -> None:
    """The client's accumulator understands the events, and ends with the whole response."""
    async with sdk.responses.stream(model="m", input="Hi") as stream:
        events = [event async for event in stream]
        response = await stream.get_final_response()

    assert [
        "response.created",
        "response.in_progress",
        "response.output_item.added",
        "response.content_part.added",
        "response.output_text.delta",
        "response.output_text.delta",
        "response.output_text.done",
        "response.content_part.done",
        "response.output_item.done",
        "response.completed",
    ] == [event.type for event in events]
    assert list(range(10)) == [event.sequence_number for event in events]
    assert "Hello there" == response.output_text


async def test_the_stream_helper_follows_reasoning_and_calls(
    sdk: openai.AsyncOpenAI, scripted: ScriptedHost
) -> None:
    """Reasoning is an item of its own, and the arguments of a call are joined."""
    scripted.events = CALL

    async with sdk.responses.stream(model="m", input="Hi", tools=[ADD]) as stream:
        async for _ in stream:
            pass
        response = await stream.get_final_response()

    reasoning, call = response.output
    assert "reasoning" == reasoning.type
    assert reasoning.content is not None
    assert "I can add." == reasoning.content[0].text
    assert "function_call" == call.type
    assert ("call_1", "add", '{"a": 1}') == (call.call_id, call.name, call.arguments)


async def test_a_round_trip_of_tools(sdk: openai.AsyncOpenAI, scripted: ScriptedHost) -> None:
    """The output of a call goes to the model with the call and the reasoning before it."""
    scripted.events = CALL
    asked: list[Any] = [{"role": "user", "content": "1 + 1?"}]
    response = await sdk.responses.create(model="m", input=asked, tools=[ADD])
    asked += [item.model_dump(exclude_none=True) for item in response.output]
    asked.append({"type": "function_call_output", "call_id": "call_1", "output": "2"})

    await sdk.responses.create(model="m", input=asked, tools=[ADD])

    request = scripted.requests[-1]
    assert isinstance(request, GenerateRequest)
    assert isinstance(request.prompt, ChatPrompt)
    user, assistant, tool = request.prompt.messages
    assert (Author.USER, "1 + 1?") == (user.author, user.text)
    assert "I can add." == assistant.reasoning
    assert [("call_1", "add", '{"a": 1}')] == [
        (call.id, call.name, call.arguments) for call in assistant.tool_calls
    ]
    assert (Author.TOOL, "2", "call_1", "add") == (
        tool.author,
        tool.text,
        tool.tool_call_id,
        tool.name,
    )


async def test_a_response_goes_on_from_another(
    sdk: openai.AsyncOpenAI, scripted: ScriptedHost
) -> None:
    """The model reads the whole conversation, of which each request sends only what is new."""
    first = await sdk.responses.create(model="m", input="One", instructions="Not kept.")
    second = await sdk.responses.create(model="m", input="Two", previous_response_id=first.id)

    third = await sdk.responses.create(
        model="m", input="Three", previous_response_id=second.id, instructions="New."
    )

    assert second.id == third.previous_response_id
    assert [
        (Author.SYSTEM, "New."),
        (Author.USER, "One"),
        (Author.ASSISTANT, "Hello there"),
        (Author.USER, "Two"),
        (Author.ASSISTANT, "Hello there"),
        (Author.USER, "Three"),
    ] == said(scripted)


async def test_a_call_is_answered_in_the_next_response(
    sdk: openai.AsyncOpenAI, scripted: ScriptedHost
) -> None:
    """A call need not be sent back: its id is enough."""
    scripted.events = CALL
    first = await sdk.responses.create(model="m", input="1 + 1?", tools=[ADD])

    await sdk.responses.create(
        model="m",
        previous_response_id=first.id,
        input=[{"type": "function_call_output", "call_id": "call_1", "output": "2"}],
    )

    assert [(Author.USER, "1 + 1?"), (Author.ASSISTANT, ""), (Author.TOOL, "2")] == said(scripted)


async def test_responses_are_retrieved(sdk: openai.AsyncOpenAI) -> None:
    """What was answered, whole or as a stream, is there as it was."""
    whole = await sdk.responses.create(model="m", input="Hi")
    async with sdk.responses.stream(model="m", input="Hi") as stream:
        streamed = await stream.get_final_response()

    assert whole.to_dict() == (await sdk.responses.retrieve(whole.id)).to_dict()
    found = await sdk.responses.retrieve(streamed.id)
    assert ("Hello there", "completed") == (found.output_text, found.status)


async def test_input_items_are_listed_in_pages(sdk: openai.AsyncOpenAI) -> None:
    """The newest comes first unless asked else, and pages follow each other."""
    first = await sdk.responses.create(model="m", input="One")
    second = await sdk.responses.create(model="m", input="Two", previous_response_id=first.id)

    def texts(items: list[Any]) -> list[str]:
        return [item.content[0].text for item in items]

    newest = [item async for item in sdk.responses.input_items.list(second.id, limit=2)]
    oldest = await sdk.responses.input_items.list(second.id, order="asc", limit=1)

    assert ["Two", "Hello there", "One"] == texts(newest)
    assert ["One"] == texts(oldest.data)
    assert oldest.has_more


async def test_a_deleted_response_is_gone(sdk: openai.AsyncOpenAI) -> None:
    """It is not found, and nothing goes on from it; what went on from it before stays whole."""
    first = await sdk.responses.create(model="m", input="One")
    second = await sdk.responses.create(model="m", input="Two", previous_response_id=first.id)

    await sdk.responses.delete(first.id)

    with pytest.raises(openai.NotFoundError):
        await sdk.responses.retrieve(first.id)
    with pytest.raises(openai.NotFoundError):
        await sdk.responses.delete(first.id)
    with pytest.raises(openai.BadRequestError) as caught:
        await sdk.responses.create(model="m", input="Two", previous_response_id=first.id)
    assert ("previous_response_not_found", "previous_response_id") == (
        caught.value.code,
        caught.value.param,
    )
    await sdk.responses.create(model="m", input="Three", previous_response_id=second.id)


async def test_what_is_not_to_be_kept_is_not(sdk: openai.AsyncOpenAI) -> None:
    """With `store` false there is nothing to come back to."""
    response = await sdk.responses.create(model="m", input="Hi", store=False)

    with pytest.raises(openai.NotFoundError):
        await sdk.responses.retrieve(response.id)


async def test_what_is_complete_cannot_be_cancelled(sdk: openai.AsyncOpenAI) -> None:
    """The error says why."""
    response = await sdk.responses.create(model="m", input="Hi")

    with pytest.raises(openai.BadRequestError, match="is complete"):
        await sdk.responses.cancel(response.id)


async def test_unknown_parts_of_a_query_are_refused(http: httpx.AsyncClient) -> None:
    """They are named, like unknown fields of a body; lists may be spelled as clients do."""
    made = (await http.post("/v1/responses", json={"model": "m", "input": "Hi"})).json()
    url = f"/v1/responses/{made['id']}"

    assert 200 == (await http.get(f"{url}?include[]=a&include[]=b&stream=false")).status_code
    for query, param in (("nonsense=1", "nonsense"), ("stream=true", "stream")):
        answer = await http.get(f"{url}?{query}")
        assert (400, param) == (answer.status_code, answer.json()["error"]["param"])
    for query in ("limit=0", "limit=101", "limit=x", "order=up", "after=nobody"):
        answer = await http.get(f"{url}/input_items?{query}")
        assert (400, query.partition("=")[0]) == (
            answer.status_code,
            answer.json()["error"]["param"],
        )


class Person(pydantic.BaseModel):
    name: str


async def test_parse(sdk: openai.AsyncOpenAI, scripted: ScriptedHost) -> None:
    """The client's own way to ask for a type: the schema arrives as a constraint."""
    scripted.events = (
        Prefill(3, 3),
        TextDelta('{"name": "Ada"}'),
        ChoiceFinished(FinishReason.STOP),
        Finished(Usage(3, 5)),
    )

    response = await sdk.responses.parse(model="m", input="Who?", text_format=Person)

    assert Person(name="Ada") == response.output_parsed
    request = scripted.requests[-1]
    assert isinstance(request, GenerateRequest)
    assert request.constraint is not None
    assert "text.format" == request.constraint.param


async def test_tokens_are_counted(sdk: openai.AsyncOpenAI, scripted: ScriptedHost) -> None:
    """A response's tokens can be counted before, also when it goes on from another."""
    first = await sdk.responses.create(model="m", input="One")
    scripted.events = (Tokenized((1, 2, 3, 4)), Finished(Usage(4, 0)))

    count = await sdk.responses.input_tokens.count(
        model="m", input="Two", previous_response_id=first.id
    )

    assert 4 == count.input_tokens
    assert [
        (Author.USER, "One"),
        (Author.ASSISTANT, "Hello there"),
        (Author.USER, "Two"),
    ] == said(scripted)


async def test_a_failure_in_a_stream_is_an_event(
    sdk: openai.AsyncOpenAI, scripted: ScriptedHost
) -> None:
    """The response says that it failed, and why; it is not kept."""
    scripted.events = (
        Prefill(3, 3),
        TextDelta("Hel"),
        Failed(RunnerCrashedError("The runner died.")),
    )
    stream = await sdk.responses.create(model="m", input="Hi", stream=True)
    events = [event async for event in stream]

    last = events[-1]
    assert "response.failed" == last.type
    assert last.response.error is not None
    assert ("server_error", "The runner died.") == (
        last.response.error.code,
        last.response.error.message,
    )
    with pytest.raises(openai.NotFoundError):
        await sdk.responses.retrieve(last.response.id)


class TestWithKeys:
    """Two callers with keys of their own."""

    @pytest.fixture
    def keys(self) -> KeyRing:
        scopes = frozenset({Scope.INFER})
        return KeyRing(ApiKey(name, hash_of(name), scopes) for name in ("alice", "bob"))

    @pytest.fixture
    async def bob(self, server: Serving) -> AsyncIterator[openai.AsyncOpenAI]:
        async with openai.AsyncOpenAI(
            base_url=f"{server.url}/v1", api_key="bob", max_retries=0, timeout=WAIT_S
        ) as client:
            yield client

    async def test_nobody_sees_what_is_anothers(
        self, server: Serving, bob: openai.AsyncOpenAI
    ) -> None:
        """A response cannot be read, listed, deleted or gone on from with another key."""
        async with openai.AsyncOpenAI(
            base_url=f"{server.url}/v1", api_key="alice", max_retries=0, timeout=WAIT_S
        ) as alice:
            made = await alice.responses.create(model="m", input="A secret")
            with pytest.raises(openai.NotFoundError):
                await bob.responses.retrieve(made.id)
            with pytest.raises(openai.NotFoundError):
                await bob.responses.input_items.list(made.id)
            with pytest.raises(openai.NotFoundError):
                await bob.responses.delete(made.id)
            with pytest.raises(openai.BadRequestError):
                await bob.responses.create(model="m", input="Go on", previous_response_id=made.id)
            assert made.id == (await alice.responses.retrieve(made.id)).id
