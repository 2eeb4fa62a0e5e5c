"""OpenAI's own client against a server on loopback."""

from __future__ import annotations

import asyncio
from typing import Any

import openai
import pytest
from openai.types.chat import ChatCompletionMessageParam

from stoker.errors import (
    ContextLengthExceededError,
    ModelNotFoundError,
    OverloadedError,
    RunnerCrashedError,
)
from stoker.events import (
    ChoiceFinished,
    Echo,
    Failed,
    Finished,
    FinishReason,
    Loading,
    Prefill,
    Queued,
    TextDelta,
    ToolCallDelta,
    Usage,
)
from stoker.request import ChatPrompt, TextPrompt
from stoker.testing import ScriptedHost

from .conftest import NAMES, Serving

HI: list[ChatCompletionMessageParam] = [{"role": "user", "content": "Hi"}]


async def test_lists_models(sdk: openai.AsyncOpenAI) -> None:
    """The models are listed by their familiar names."""
    models = [model async for model in sdk.models.list()]

    assert list(NAMES) == [model.id for model in models]
    assert {("model", "oci", 1_000_000_000)} == {
        (model.object, model.owned_by, model.created) for model in models
    }


@pytest.mark.parametrize("name", NAMES)
async def test_retrieves_a_model(sdk: openai.AsyncOpenAI, name: str) -> None:
    """A model is described by its name, with slashes and a port in it."""
    model = await sdk.models.retrieve(name)

    assert name == model.id


async def test_an_unknown_model_is_not_found(sdk: openai.AsyncOpenAI) -> None:
    """The client sees its own class of error, with OpenAI's code."""
    with pytest.raises(openai.NotFoundError) as caught:
        await sdk.models.retrieve("nobody/knows")

    assert ("model_not_found", "model") == (caught.value.code, caught.value.param)


async def test_chat(sdk: openai.AsyncOpenAI, scripted: ScriptedHost) -> None:
    """A conversation is answered, and the request arrives as it was meant."""
    answer = await sdk.chat.completions.create(model="ai/smollm2", messages=HI, max_tokens=7)

    assert "Hello there" == answer.choices[0].message.content
    assert "stop" == answer.choices[0].finish_reason
    assert "ai/smollm2" == answer.model
    assert answer.usage is not None
    assert (3, 2, 5) == (
        answer.usage.prompt_tokens,
        answer.usage.completion_tokens,
        answer.usage.total_tokens,
    )
    (request,) = scripted.requests
    assert isinstance(request.prompt, ChatPrompt)
    assert ("ai/smollm2", 7, "Hi") == (
        request.model,
        request.max_tokens,
        request.prompt.messages[0].text,
    )


async def test_chat_as_a_stream(sdk: openai.AsyncOpenAI) -> None:
    """The pieces come one by one, and the usage last when it was asked for."""
    stream = await sdk.chat.completions.create(
        model="m", messages=HI, stream=True, stream_options={"include_usage": True}
    )
    chunks = [chunk async for chunk in stream]

    assert ["", "Hello", " there", None] == [
        chunk.choices[0].delta.content for chunk in chunks if chunk.choices
    ]
    assert "assistant" == chunks[0].choices[0].delta.role
    assert "stop" == chunks[-2].choices[0].finish_reason
    assert [] == chunks[-1].choices
    assert chunks[-1].usage is not None
    assert 5 == chunks[-1].usage.total_tokens


async def test_the_stream_helper_joins_tool_calls(
    sdk: openai.AsyncOpenAI, scripted: ScriptedHost
) -> None:
    """The client's accumulator understands the pieces of tool calls."""
    scripted.events = (
        Prefill(3, 3),
        ToolCallDelta(0, id="call_1", name="add", arguments='{"a":'),
        ToolCallDelta(0, arguments=" 1}"),
        ToolCallDelta(1, id="call_2", name="stop"),
        ChoiceFinished(FinishReason.TOOL_CALLS),
        Finished(Usage(3, 5)),
    )

    async with sdk.chat.completions.stream(
        model="m",
        messages=HI,
        tools=[{"type": "function", "function": {"name": "add", "parameters": {}}}],
    ) as stream:
        completion = await stream.get_final_completion()

    calls = completion.choices[0].message.tool_calls
    assert calls is not None
    assert [("call_1", "add", '{"a": 1}'), ("call_2", "stop", "")] == [
        (call.id, call.function.name, call.function.arguments) for call in calls
    ]
    assert "tool_calls" == completion.choices[0].finish_reason


async def test_an_answer_can_be_sent_back(sdk: openai.AsyncOpenAI, scripted: ScriptedHost) -> None:
    """A message of an answer is taken as it came in the next request."""
    answer = await sdk.chat.completions.create(model="m", messages=HI)
    message = answer.choices[0].message
    as_dict: ChatCompletionMessageParam = message.model_dump()  # type: ignore[assignment] # what people do
    for echoed in (message, as_dict):
        history = [*HI, echoed, *HI]
        await sdk.chat.completions.create(model="m", messages=history)  # type: ignore[arg-type] # as above

        prompt = scripted.requests[-1].prompt
        assert isinstance(prompt, ChatPrompt)
        assert ["Hi", "Hello there", "Hi"] == [message.text for message in prompt.messages]


async def test_completion(sdk: openai.AsyncOpenAI, scripted: ScriptedHost) -> None:
    """Plain text is continued."""
    scripted.events = (scripted.events[0], Echo("Once"), *scripted.events[1:])
    answer = await sdk.completions.create(model="m", prompt="Once", echo=True)

    assert "OnceHello there" == answer.choices[0].text
    assert TextPrompt("Once") == scripted.requests[0].prompt


async def test_completion_as_a_stream(sdk: openai.AsyncOpenAI) -> None:
    """Plain text is continued piece by piece."""
    stream = await sdk.completions.create(model="m", prompt="Once", stream=True)

    assert ["Hello", " there", ""] == [chunk.choices[0].text async for chunk in stream]


async def test_the_blocking_client(server: Serving) -> None:
    """The blocking client works the same."""

    def talk() -> tuple[str | None, list[str | None]]:
        with openai.OpenAI(base_url=f"{server.url}/v1", api_key="none", max_retries=0) as sdk:
            answer = sdk.chat.completions.create(model="m", messages=HI)
            stream = sdk.chat.completions.create(model="m", messages=HI, stream=True)
            return (
                answer.choices[0].message.content,
                [chunk.choices[0].delta.content for chunk in stream],
            )

    answer, pieces = await asyncio.to_thread(talk)

    assert "Hello there" == answer
    assert ["", "Hello", " there", None] == pieces


@pytest.mark.parametrize("stream", [False, True])
async def test_errors_before_the_answer_have_their_status(
    sdk: openai.AsyncOpenAI, scripted: ScriptedHost, *, stream: bool
) -> None:
    """What fails before it was accepted is a proper error, also after a wait and for streams."""
    for error, kind, code in (
        (ModelNotFoundError("No m.", model="m"), openai.NotFoundError, "model_not_found"),
        (
            ContextLengthExceededError(prompt_tokens=9, context_length=8),
            openai.BadRequestError,
            "context_length_exceeded",
        ),
        (OverloadedError("Full.", retry_after_s=1.5), openai.InternalServerError, "overloaded"),
    ):
        scripted.events = (Queued(1), Loading("reading weights"), Failed(error))

        with pytest.raises(kind) as caught:
            await sdk.chat.completions.create(model="m", messages=HI, stream=stream)

        assert code == caught.value.code
        assert error.message in caught.value.message


async def test_a_bad_field_is_named(sdk: openai.AsyncOpenAI) -> None:
    """The client's error carries the field."""
    malformed: Any = {"role": "user", "content": 5}
    with pytest.raises(openai.BadRequestError) as caught:
        await sdk.chat.completions.create(model="m", messages=[malformed])

    assert "messages[0].content" == caught.value.param


async def test_a_failure_inside_a_stream_is_an_api_error(
    sdk: openai.AsyncOpenAI, scripted: ScriptedHost
) -> None:
    """What fails after the first piece reaches the client as its error, after the pieces."""
    crash = RunnerCrashedError("The runner died.")
    scripted.events = (Prefill(3, 3), TextDelta("Hel"), Failed(crash))
    stream = await sdk.chat.completions.create(model="m", messages=HI, stream=True)
    pieces: list[str | None] = []

    async def read() -> None:
        async for chunk in stream:
            pieces.append(chunk.choices[0].delta.content)  # noqa: PERF401 - outlives the error

    with pytest.raises(openai.APIError, match=r"The runner died\.") as caught:
        await read()

    assert ["", "Hel"] == pieces
    assert "runner_crashed" == caught.value.code


async def test_a_failure_of_a_whole_answer_is_a_status(
    sdk: openai.AsyncOpenAI, scripted: ScriptedHost
) -> None:
    """Without a stream nothing was sent yet, so a late failure still has its status."""
    scripted.events = (Prefill(3, 3), TextDelta("Hel"), Failed(RunnerCrashedError("It died.")))

    with pytest.raises(openai.InternalServerError) as caught:
        await sdk.chat.completions.create(model="m", messages=HI)

    assert 503 == caught.value.status_code
