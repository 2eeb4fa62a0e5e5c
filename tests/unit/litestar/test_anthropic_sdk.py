"""Anthropic's own client against a server on loopback."""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator
from typing import Any

import anthropic
import httpx
import pytest

from stoker.caller import Scope
from stoker.errors import (
    BackendUnavailableError,
    ContextLengthExceededError,
    ModelNotFoundError,
    OverloadedError,
    RunnerCrashedError,
    TooManyRequestsError,
)
from stoker.events import (
    ChoiceFinished,
    Failed,
    Finished,
    FinishReason,
    Loading,
    Prefill,
    ReasoningDelta,
    TextDelta,
    Tokenized,
    ToolCallDelta,
    Usage,
)
from stoker.keys import ApiKey, KeyRing, hash_of
from stoker.messages import Author, ImagePart, TextPart, ToolChoice, ToolChoiceMode
from stoker.request import ChatPrompt, GenerateRequest, TokenizeRequest
from stoker.testing import ScriptedHost
from stoker_litestar.options import HttpOptions

from .conftest import NAMES, WAIT_S, Serving

HI: Any = [{"role": "user", "content": "Hi"}]
ADD: Any = {
    "name": "add",
    "description": "Adds.",
    "input_schema": {"type": "object", "properties": {"a": {"type": "integer"}}},
}
CALL = (
    Prefill(3, 3),
    ReasoningDelta("I can "),
    ReasoningDelta("add."),
    TextDelta("Let me see."),
    ToolCallDelta(0, id="call_1", name="add", arguments='{"a":'),
    ToolCallDelta(0, arguments=" 1}"),
    ToolCallDelta(1, id="call_2", name="add"),
    ChoiceFinished(FinishReason.TOOL_CALLS),
    Finished(Usage(3, 5, reasoning_tokens=2)),
)


@pytest.fixture
async def claude(server: Serving) -> AsyncIterator[anthropic.AsyncAnthropic]:
    """Anthropic's own client, which does not try again."""
    async with anthropic.AsyncAnthropic(
        base_url=server.url, api_key="none", max_retries=0, timeout=WAIT_S
    ) as client:
        yield client


def prompt_of(scripted: ScriptedHost) -> ChatPrompt:
    """The prompt of the last request."""
    request = scripted.requests[-1]
    assert isinstance(request, GenerateRequest | TokenizeRequest)
    assert isinstance(request.prompt, ChatPrompt)
    return request.prompt


async def test_a_message(claude: anthropic.AsyncAnthropic, scripted: ScriptedHost) -> None:
    """A conversation is answered, and the request arrives as it was meant."""
    message = await claude.messages.create(
        model="ai/smollm2", max_tokens=20, system="Be brief.", messages=HI
    )

    assert ["Hello there"] == [block.text for block in message.content if block.type == "text"]
    assert ("end_turn", None, "ai/smollm2") == (
        message.stop_reason,
        message.stop_sequence,
        message.model,
    )
    assert (3, 2, 0) == (
        message.usage.input_tokens,
        message.usage.output_tokens,
        message.usage.cache_read_input_tokens,
    )
    assert [(Author.SYSTEM, "Be brief."), (Author.USER, "Hi")] == [
        (said.author, said.text) for said in prompt_of(scripted).messages
    ]
    request = scripted.requests[-1]
    assert isinstance(request, GenerateRequest)
    assert 20 == request.max_tokens


async def test_the_stream_helper_follows_a_message(claude: anthropic.AsyncAnthropic) -> None:
    """The client's accumulator understands the events, and ends with the whole message."""
    async with claude.messages.stream(model="m", max_tokens=20, messages=HI) as stream:
        pieces = [text async for text in stream.text_stream]
        message = await stream.get_final_message()

    assert ["Hello", " there"] == pieces
    assert "end_turn" == message.stop_reason
    assert (3, 2) == (message.usage.input_tokens, message.usage.output_tokens)


async def test_the_stream_helper_follows_thinking_and_calls(
    claude: anthropic.AsyncAnthropic, scripted: ScriptedHost
) -> None:
    """Thinking, texts and calls are blocks of their own, and arguments are joined to inputs."""
    scripted.events = CALL

    async with claude.messages.stream(model="m", max_tokens=20, messages=HI, tools=[ADD]) as stream:
        message = await stream.get_final_message()
    whole = await claude.messages.create(model="m", max_tokens=20, messages=HI, tools=[ADD])

    thinking, text, first, second = message.content
    assert "thinking" == thinking.type
    assert "I can add." == thinking.thinking
    assert "text" == text.type
    assert "Let me see." == text.text
    assert "tool_use" == first.type
    assert ("call_1", "add", {"a": 1}) == (first.id, first.name, first.input)
    assert "tool_use" == second.type
    assert ("call_2", {}) == (second.id, second.input)
    assert "tool_use" == message.stop_reason
    assert [block.model_dump() for block in whole.content] == [
        block.model_dump(exclude={"parsed_output"}) for block in message.content
    ]


async def test_a_round_trip_of_tools(
    claude: anthropic.AsyncAnthropic, scripted: ScriptedHost
) -> None:
    """An answer is sent back as it came, with the results of its calls behind it."""
    scripted.events = CALL
    message = await claude.messages.create(model="m", max_tokens=20, messages=HI, tools=[ADD])
    image = base64.b64encode(b"png").decode()
    results: Any = [
        {"type": "tool_result", "tool_use_id": "call_1", "content": "2"},
        {
            "type": "tool_result",
            "tool_use_id": "call_2",
            "is_error": True,
            "content": [
                {"type": "text", "text": "No a."},
                {
                    "type": "image",
                    "source": {"type": "base64", "media_type": "image/png", "data": image},
                },
            ],
        },
        {"type": "text", "text": "Go on."},
    ]

    await claude.messages.create(
        model="m",
        max_tokens=20,
        tools=[ADD],
        messages=[
            *HI,
            {"role": "assistant", "content": message.content},
            {"role": "user", "content": results},
        ],
    )

    user, assistant, first, second, last = prompt_of(scripted).messages
    assert "Hi" == user.text
    assert ("Let me see.", "I can add.") == (assistant.text, assistant.reasoning)
    assert [("call_1", "add", '{"a": 1}'), ("call_2", "add", "{}")] == [
        (call.id, call.name, call.arguments) for call in assistant.tool_calls
    ]
    assert (Author.TOOL, "call_1", "add", "2") == (
        first.author,
        first.tool_call_id,
        first.name,
        first.text,
    )
    assert (TextPart("Error:\nNo a."), ImagePart(b"png", "image/png")) == second.parts
    assert (Author.USER, "Go on.") == (last.author, last.text)


@pytest.mark.parametrize(
    ("choice", "expected", "parallel"),
    [
        ({"type": "auto"}, ToolChoice(), True),
        ({"type": "auto", "disable_parallel_tool_use": True}, ToolChoice(), False),
        ({"type": "any"}, ToolChoice(ToolChoiceMode.REQUIRED), True),
        ({"type": "tool", "name": "add"}, ToolChoice(ToolChoiceMode.REQUIRED, "add"), True),
        ({"type": "none"}, ToolChoice(ToolChoiceMode.NONE), True),
    ],
)
async def test_tool_choices(
    claude: anthropic.AsyncAnthropic,
    scripted: ScriptedHost,
    choice: Any,
    expected: ToolChoice,
    *,
    parallel: bool,
) -> None:
    """Each choice arrives as it was meant."""
    await claude.messages.create(
        model="m", max_tokens=20, messages=HI, tools=[ADD], tool_choice=choice
    )

    prompt = prompt_of(scripted)
    assert (expected, parallel) == (prompt.tool_choice, prompt.parallel_tool_calls)


async def test_a_stop_sequence_is_told(
    claude: anthropic.AsyncAnthropic, scripted: ScriptedHost
) -> None:
    """The sequence that ended the answer stands in it."""
    scripted.events = (
        Prefill(3, 3),
        TextDelta("One, two"),
        ChoiceFinished(FinishReason.STOP, stop=", three"),
        Finished(Usage(3, 5)),
    )

    message = await claude.messages.create(
        model="m", max_tokens=20, messages=HI, stop_sequences=[", three"]
    )

    assert ("stop_sequence", ", three") == (message.stop_reason, message.stop_sequence)
    request = scripted.requests[-1]
    assert isinstance(request, GenerateRequest)
    assert (", three",) == request.stop


async def test_tokens_are_counted(claude: anthropic.AsyncAnthropic, scripted: ScriptedHost) -> None:
    """The count is that of the prompt with its tools."""
    scripted.events = (Tokenized((1, 2, 3)), Finished(Usage(3, 0)))

    count = await claude.messages.count_tokens(model="m", messages=HI, tools=[ADD])

    assert 3 == count.input_tokens
    assert isinstance(scripted.requests[-1], TokenizeRequest)
    assert ["add"] == [tool.name for tool in prompt_of(scripted).tools]


async def test_lists_models(claude: anthropic.AsyncAnthropic, http: httpx.AsyncClient) -> None:
    """The models are those of OpenAI's list, in the form that the client's header asks for."""
    models = [model async for model in claude.models.list()]
    one = await claude.models.retrieve(NAMES[1])

    assert list(NAMES) == [model.id for model in models]
    assert (NAMES[1], "2001-09-09") == (one.id, f"{one.created_at:%Y-%m-%d}")
    assert "list" == (await http.get("/v1/models")).json()["object"]


async def test_an_unknown_model_is_not_found(claude: anthropic.AsyncAnthropic) -> None:
    """The error has Anthropic's form, with the request's id."""
    with pytest.raises(anthropic.NotFoundError) as caught:
        await claude.models.retrieve("nobody/knows")

    body: Any = caught.value.body
    assert ("error", "not_found_error") == (body["type"], body["error"]["type"])
    assert caught.value.request_id == body["request_id"]


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    ("error", "status", "kind"),
    [
        (ModelNotFoundError("No m.", model="m"), 404, "not_found_error"),
        (
            ContextLengthExceededError(prompt_tokens=9, context_length=8),
            400,
            "invalid_request_error",
        ),
        (OverloadedError("Full.", retry_after_s=1.5), 529, "overloaded_error"),
        (TooManyRequestsError("Too many.", retry_after_s=1), 429, "rate_limit_error"),
        (BackendUnavailableError("None."), 500, "api_error"),
    ],
)
async def test_errors_before_the_answer_have_their_status(
    claude: anthropic.AsyncAnthropic,
    scripted: ScriptedHost,
    error: Any,
    status: int,
    kind: str,
    *,
    stream: bool,
) -> None:
    """What fails before it was accepted is a proper error, also for streams."""
    scripted.events = (Loading("reading weights"), Failed(error))

    with pytest.raises(anthropic.APIStatusError) as caught:
        await claude.messages.create(model="m", max_tokens=20, messages=HI, stream=stream)

    body: Any = caught.value.body
    assert (status, kind, error.message) == (
        caught.value.status_code,
        body["error"]["type"],
        body["error"]["message"],
    )


async def test_a_bad_field_is_named(claude: anthropic.AsyncAnthropic) -> None:
    """The message begins with where the field is."""
    malformed: Any = [{"role": "user", "content": [{"type": "text", "text": 5}]}]
    with pytest.raises(anthropic.BadRequestError, match=r"messages\[0\]\.content\[0\]\.text: "):
        await claude.messages.create(model="m", max_tokens=20, messages=malformed)


async def test_a_failure_inside_a_stream_is_an_api_error(
    claude: anthropic.AsyncAnthropic, scripted: ScriptedHost
) -> None:
    """What fails after the first piece reaches the client as its error, after the pieces."""
    crash = RunnerCrashedError("The runner died.")
    scripted.events = (Prefill(3, 3), TextDelta("Hel"), Failed(crash))
    pieces: list[str] = []

    async def read() -> None:
        async with claude.messages.stream(model="m", max_tokens=20, messages=HI) as stream:
            async for text in stream.text_stream:
                pieces.append(text)  # noqa: PERF401 - outlives the error

    with pytest.raises(anthropic.APIStatusError, match=r"The runner died\."):
        await read()

    assert ["Hel"] == pieces


class TestWithKeys:
    """A server with keys."""

    @pytest.fixture
    def keys(self) -> KeyRing:
        return KeyRing([ApiKey("none", hash_of("none"), frozenset({Scope.INFER}))])

    async def test_the_clients_header_carries_the_key(
        self, claude: anthropic.AsyncAnthropic, server: Serving
    ) -> None:
        """The right key is let in; a wrong one is an authentication error."""
        await claude.messages.create(model="m", max_tokens=20, messages=HI)

        async with anthropic.AsyncAnthropic(
            base_url=server.url, api_key="wrong", max_retries=0, timeout=WAIT_S
        ) as other:
            with pytest.raises(anthropic.AuthenticationError) as caught:
                await other.messages.create(model="m", max_tokens=20, messages=HI)
        body: Any = caught.value.body
        assert "authentication_error" == body["error"]["type"]


class TestWithSmallBodies:
    """A server that takes small bodies only."""

    @pytest.fixture
    def options(self) -> HttpOptions:
        return HttpOptions(port=0, drain_timeout_s=1, max_body_bytes=1000)

    async def test_too_large_a_request_is_told_so(self, claude: anthropic.AsyncAnthropic) -> None:
        """The type is the one that the API has for it."""
        long: Any = [{"role": "user", "content": "x" * 2000}]
        with pytest.raises(anthropic.APIStatusError) as caught:
            await claude.messages.create(model="m", max_tokens=20, messages=long)

        body: Any = caught.value.body
        assert (413, "request_too_large") == (caught.value.status_code, body["error"]["type"])
