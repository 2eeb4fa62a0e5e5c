"""OpenAI's own client against the whole pipeline: parsers, constraints, tools, reasoning."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from typing import Any

import httpx
import openai
import pydantic
import pytest
from openai.types.chat import ChatCompletionMessageParam, ChatCompletionToolParam
from pipeline_host import PipelineInference
from wishful import WishfulEngine

from stoker.engine import Engine
from stoker.host import Host
from stoker_litestar.options import HttpOptions

from .conftest import FakeCatalog, serving

HERMES = (
    "{% for t in tools or [] %}{{ t | tojson }}<tool_call>{% endfor %}"
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content or '' }}"
    "{% for c in m.tool_calls or [] %}<tool_call>\n"
    '{"name": "{{ c.function.name }}", "arguments": {{ c.function.arguments | tojson }}}'
    "\n</tool_call>{% endfor %}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}{# <think></think> #}"
)
HI: list[ChatCompletionMessageParam] = [{"role": "user", "content": "Weather in Rome?"}]
WEATHER: ChatCompletionToolParam = {
    "type": "function",
    "function": {
        "name": "weather",
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string"}},
            "required": ["city"],
            "additionalProperties": False,
        },
        "strict": True,
    },
}
CALL = '<tool_call>\n{"name": "weather", "arguments": {"city": "Rome"}}\n</tool_call>'

Connect = Callable[[str | Callable[[str], str]], Any]


@pytest.fixture
async def inference() -> PipelineInference:
    """Answers with what a test sets as its script."""

    def load() -> Engine:
        return WishfulEngine(scripts[-1], chat_template=HERMES)

    scripts: list[Callable[[str], str]] = [lambda _: "Sunny."]
    host = PipelineInference(load)
    host.scripts = scripts  # type: ignore[attr-defined]  # for the tests below
    return host


@pytest.fixture
async def client(inference: PipelineInference) -> AsyncIterator[openai.AsyncOpenAI]:
    """A client of a server with that inference."""
    host = Host("0", FakeCatalog(), inference, None, None)  # type: ignore[arg-type]  # nobody asks
    async with (
        serving(host, HttpOptions(port=0, drain_timeout_s=1)) as server,
        openai.AsyncOpenAI(base_url=f"{server.url}/v1", api_key="none", max_retries=0) as sdk,
    ):
        yield sdk


def script(inference: PipelineInference, says: str | Callable[[str], str]) -> None:
    inference.scripts.append(says if callable(says) else lambda _: says)  # type: ignore[attr-defined]


async def test_a_round_of_tools(client: openai.AsyncOpenAI, inference: PipelineInference) -> None:
    """The model calls, the client answers, and the model answers with that."""
    script(inference, lambda prompt: "It is sunny." if "22 degrees" in prompt else CALL)
    first = await client.chat.completions.create(model="m", messages=HI, tools=[WEATHER])
    message = first.choices[0].message

    assert ("tool_calls", None) == (first.choices[0].finish_reason, message.content)
    (call,) = message.tool_calls or ()
    assert "function" == call.type
    assert ("weather", {"city": "Rome"}) == (
        call.function.name,
        json.loads(call.function.arguments),
    )
    history: list[ChatCompletionMessageParam] = [
        *HI,
        message.to_dict(),  # type: ignore[list-item]  # as applications do it
        {"role": "tool", "tool_call_id": call.id, "content": "22 degrees"},
    ]
    second = await client.chat.completions.create(model="m", messages=history, tools=[WEATHER])
    assert "It is sunny." == second.choices[0].message.content


async def test_the_streaming_helper_puts_calls_together(
    client: openai.AsyncOpenAI, inference: PipelineInference
) -> None:
    """Its events and its final message are those of the SDK, and arguments come in pieces."""
    script(inference, f"Let me see.\n{CALL}")
    pieces = 0
    async with client.chat.completions.stream(model="m", messages=HI, tools=[WEATHER]) as stream:
        async for event in stream:
            pieces += event.type == "tool_calls.function.arguments.delta"
        final = await stream.get_final_completion()

    message = final.choices[0].message
    assert "Let me see." == message.content
    (call,) = message.tool_calls or ()
    assert {"city": "Rome"} == call.function.parsed_arguments
    assert pieces > 1


async def test_parse_gives_objects(
    client: openai.AsyncOpenAI, inference: PipelineInference
) -> None:
    """`parse` sends a schema, and the answer follows it whatever the model wishes."""

    class Weather(pydantic.BaseModel):
        city: str
        degrees: int

    script(inference, '{"city":"Rome","degrees":22}')
    answer = await client.chat.completions.parse(model="m", messages=HI, response_format=Weather)
    assert Weather(city="Rome", degrees=22) == answer.choices[0].message.parsed

    script(inference, "I would rather chat.")
    answer = await client.chat.completions.parse(model="m", messages=HI, response_format=Weather)
    assert isinstance(answer.choices[0].message.parsed, Weather)


async def test_a_truncated_answer_says_so(
    client: openai.AsyncOpenAI, inference: PipelineInference
) -> None:
    """The SDK raises its own error for it, because the JSON is not whole."""

    class Weather(pydantic.BaseModel):
        city: str

    script(inference, '{"city":"Rome"}')
    with pytest.raises(openai.LengthFinishReasonError):
        await client.chat.completions.parse(
            model="m", messages=HI, response_format=Weather, max_tokens=4
        )


@pytest.mark.parametrize("stream", [False, True])
async def test_reasoning_is_apart(
    client: openai.AsyncOpenAI, inference: PipelineInference, *, stream: bool
) -> None:
    """In `reasoning_content`, which many servers share, and its tokens are counted."""
    script(inference, "<think>\nHm.\n</think>\n\nSunny.")
    options: dict[str, Any] = {"model": "m", "messages": HI}
    if stream:
        options |= {"stream": True, "stream_options": {"include_usage": True}}
        text, reasoning, usage = "", "", None
        async for chunk in await client.chat.completions.create(**options):
            usage = chunk.usage or usage
            for choice in chunk.choices:
                text += choice.delta.content or ""
                reasoning += getattr(choice.delta, "reasoning_content", None) or ""
    else:
        answer = await client.chat.completions.create(**options)
        message, usage = answer.choices[0].message, answer.usage
        text, reasoning = message.content or "", message.reasoning_content  # type: ignore[attr-defined]

    assert ("Sunny.", "Hm.") == (text, reasoning)
    assert usage is not None
    assert usage.completion_tokens_details is not None
    assert len("<\nHm.\n>") == usage.completion_tokens_details.reasoning_tokens


async def test_effort_none_and_a_budget(
    client: openai.AsyncOpenAI, inference: PipelineInference
) -> None:
    """Thinking ends where the client says."""
    script(inference, "<think>abcdefghijklmnop</think>Sunny.")
    answer = await client.chat.completions.create(
        model="m", messages=HI, extra_body={"reasoning_budget_tokens": 6}
    )

    assert "abcde" == answer.choices[0].message.reasoning_content  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    "choice", ["required", {"type": "function", "function": {"name": "weather"}}]
)
async def test_a_call_can_be_forced(
    client: openai.AsyncOpenAI, inference: PipelineInference, choice: Any
) -> None:
    """The model has no choice."""
    script(inference, "I would rather chat.")
    answer = await client.chat.completions.create(
        model="m", messages=HI, tools=[WEATHER], tool_choice=choice, parallel_tool_calls=False
    )

    (call,) = answer.choices[0].message.tool_calls or ()
    assert "function" == call.type
    assert ["city"] == list(json.loads(call.function.arguments))


@pytest.mark.parametrize("arguments", ["{broken", "", "[1]", '"text"', "\u0000", "{" * 1000])
@pytest.mark.parametrize("content", [None, "", "Well."])
async def test_a_malformed_history_is_no_servers_error(
    client: openai.AsyncOpenAI, inference: PipelineInference, arguments: str, content: str | None
) -> None:
    """What a model once wrote is shown to it again, or refused with a 400."""
    script(inference, "Yes.")
    history: list[Any] = [
        *HI,
        {
            "role": "assistant",
            "content": content,
            "tool_calls": [
                {"id": "x", "type": "function", "function": {"name": "f", "arguments": arguments}}
            ],
        },
        {"role": "tool", "tool_call_id": "other", "content": ""},
        {"role": "assistant", "content": content, "tool_calls": []},
    ]
    try:
        answer = await client.chat.completions.create(model="m", messages=history)
    except openai.BadRequestError as exc:
        assert exc.param  # noqa: PT017 - an error is one of two right ends
    else:
        assert "Yes." == answer.choices[0].message.content


async def test_errors_carry_the_requests_id(client: openai.AsyncOpenAI) -> None:
    """The client shows it, and the log names the request by it."""
    with pytest.raises(openai.BadRequestError) as caught:
        await client.chat.completions.create(model="m", messages=HI, n=0)

    assert caught.value.request_id


async def test_completions_for_the_evaluation_harness(client: openai.AsyncOpenAI) -> None:
    """Prompts of tokens come back, and no answer if none is wanted."""
    answer = await client.completions.create(model="m", prompt=[[72, 105]], echo=True, max_tokens=0)

    assert ("Hi", "length") == (answer.choices[0].text, answer.choices[0].finish_reason)
    assert answer.usage is not None
    assert (2, 0) == (answer.usage.prompt_tokens, answer.usage.completion_tokens)


async def test_several_prompts(client: openai.AsyncOpenAI, inference: PipelineInference) -> None:
    """Each has its own choices, in the order of the prompts, and usage counts them all."""
    script(inference, lambda prompt: prompt.upper())
    answer = await client.completions.create(model="m", prompt=["ab", "cde"], n=2, echo=True)

    assert ["abAB", "abAB", "cdeCDE", "cdeCDE"] == [choice.text for choice in answer.choices]
    assert [0, 1, 2, 3] == [choice.index for choice in answer.choices]
    assert answer.usage is not None
    assert (5, 10) == (answer.usage.prompt_tokens, answer.usage.completion_tokens)


async def test_the_tokenizer_has_routes(client: openai.AsyncOpenAI) -> None:
    """In vLLM's and in llama-server's form, and counting in OpenAI's."""
    root = str(client.base_url).removesuffix("/v1/")
    chat = {"model": "m", "messages": [{"role": "user", "content": "Hi"}]}
    async with httpx.AsyncClient(base_url=root) as http:

        async def ask(path: str, **body: Any) -> Any:
            response = await http.post(path, json={"model": "m"} | body)
            return response.json()

        assert {"count": 2, "tokens": [72, 105]} == await ask("/tokenize", prompt="Hi")
        assert {"count": 1, "tokens": [{"id": 195, "piece": [195]}]} != await ask(
            "/tokenize", content="ü", with_pieces=True
        )
        assert "Hi" == (await ask("/detokenize", tokens=[72, 105]))["content"]
        rendered = (await ask("/apply-template", messages=chat["messages"]))["prompt"]
        assert "<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n" == rendered
        counted = await ask("/v1/chat/completions/input_tokens", messages=chat["messages"])
        tokens = await ask("/tokenize", messages=chat["messages"])
        assert tokens["count"] == counted["input_tokens"]
        refused = await ask("/tokenize", prompt="a", content="b")
        assert "prompt" == refused["error"]["param"]


async def test_a_stopped_answer_is_truthful(
    client: openai.AsyncOpenAI, inference: PipelineInference
) -> None:
    """`refusal` is null, and the reason is the limit where it was met."""
    script(inference, "abc")
    answer = await client.chat.completions.create(model="m", messages=HI, max_tokens=2)

    assert (None, "length") == (
        answer.choices[0].message.refusal,
        answer.choices[0].finish_reason,
    )
