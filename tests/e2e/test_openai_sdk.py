"""The real `openai` package against the real server, with a model on each engine."""

from __future__ import annotations

import json
from collections.abc import Iterator

import httpx
import openai
import pytest
from stoker_process import MODEL, Server

FRANCE = [{"role": "user", "content": "What is the capital of France? Answer in one sentence."}]


@pytest.fixture(scope="module")
def client(served: Server) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{served.url}/v1", api_key="none", max_retries=0) as made:
        yield made


def test_models_are_listed_and_found(client: openai.OpenAI) -> None:
    """The packaged model is in the list, and can be retrieved by its name."""

    assert [MODEL] == [model.id for model in client.models.list()]
    assert MODEL == client.models.retrieve(MODEL).id


def test_a_chat_is_answered(client: openai.OpenAI) -> None:
    """A greedy question gets the known answer, with exact usage."""

    answer = client.chat.completions.create(
        model=MODEL,
        messages=FRANCE,  # type: ignore[arg-type]
        temperature=0,
        max_tokens=30,
    )

    assert "Paris" in (answer.choices[0].message.content or "")
    assert "stop" == answer.choices[0].finish_reason
    assert answer.usage is not None
    assert answer.usage.total_tokens == answer.usage.prompt_tokens + answer.usage.completion_tokens
    assert answer.usage.completion_tokens > 3


def test_a_chat_is_streamed(client: openai.OpenAI) -> None:
    """The joined deltas are the known answer, and the last chunk alone carries the usage."""

    chunks = list(
        client.chat.completions.create(
            model=MODEL,
            messages=FRANCE,  # type: ignore[arg-type]
            temperature=0,
            max_tokens=30,
            stream=True,
            stream_options={"include_usage": True},
        )
    )

    text = "".join(c.choices[0].delta.content or "" for c in chunks if c.choices)
    assert "Paris" in text
    assert "stop" == chunks[-2].choices[0].finish_reason
    assert [] == chunks[-1].choices
    assert chunks[-1].usage is not None
    assert 3 < chunks[-1].usage.completion_tokens <= 30
    assert all(chunk.usage is None for chunk in chunks[:-1])


def test_completions_continue_a_text(client: openai.OpenAI) -> None:
    """The older route answers too, with and without streaming."""
    whole = client.completions.create(
        model=MODEL, prompt="The capital of France is", max_tokens=4, temperature=0
    )

    stream = client.completions.create(
        model=MODEL, prompt="The capital of France is", max_tokens=4, temperature=0, stream=True
    )

    assert "Paris" in whole.choices[0].text
    assert "length" == whole.choices[0].finish_reason
    assert "Paris" in "".join(c.choices[0].text for c in stream if c.choices)


def test_stop_strings_end_an_answer(client: openai.OpenAI) -> None:
    """The text before the stop string comes, the stop string does not."""

    answer = client.chat.completions.create(
        model=MODEL,
        messages=FRANCE,  # type: ignore[arg-type]
        temperature=0,
        max_tokens=30,
        stop=[" Paris"],
    )

    assert "Paris" not in (answer.choices[0].message.content or "")
    assert "stop" == answer.choices[0].finish_reason


def test_several_choices_and_logprobs(client: openai.OpenAI) -> None:
    """N and logprobs are honoured together."""

    answer = client.chat.completions.create(
        model=MODEL,
        messages=FRANCE,  # type: ignore[arg-type]
        n=2,
        seed=7,
        max_tokens=5,
        logprobs=True,
        top_logprobs=2,
    )

    assert [0, 1] == [choice.index for choice in answer.choices]
    for choice in answer.choices:
        assert choice.logprobs is not None
        assert choice.logprobs.content
        joined = b"".join(bytes(token.bytes or []) for token in choice.logprobs.content)
        assert (choice.message.content or "") == joined.decode()
        assert all(2 == len(token.top_logprobs) for token in choice.logprobs.content)
        assert all(token.logprob <= 0 for token in choice.logprobs.content)


def test_an_unknown_model_is_not_found(client: openai.OpenAI) -> None:
    """The SDK raises NotFoundError, and the sentence says how to get the model."""

    with pytest.raises(openai.NotFoundError) as caught:
        client.chat.completions.create(model="ai/none", messages=FRANCE)  # type: ignore[arg-type]

    assert "model_not_found" == caught.value.code
    assert "stoker pull" in str(caught.value)


@pytest.mark.parametrize("stream", [False, True])
def test_a_prompt_beyond_the_context_is_a_bad_request(
    client: openai.OpenAI,
    stream: bool,
) -> None:
    """Nothing is cut off in silence, and the status is right for streams as well."""
    messages = [{"role": "user", "content": "word " * 20_000}]

    with pytest.raises(openai.BadRequestError) as caught:
        client.chat.completions.create(model=MODEL, messages=messages, stream=stream)  # type: ignore[call-overload]

    assert "context_length_exceeded" == caught.value.code


def test_a_bad_field_is_named(client: openai.OpenAI) -> None:
    """Wrong types, wrong values and unknown fields are refused by name."""
    for extra, param in (
        ({"temperature": "warm"}, "temperature"),
        ({"temperature": -1}, "temperature"),
        ({"tempreature": 1}, "tempreature"),
        ({"n": 0}, "n"),
    ):
        with pytest.raises(openai.BadRequestError) as caught:
            client.chat.completions.create(model=MODEL, messages=FRANCE, extra_body=extra)  # type: ignore[arg-type]
        assert param == caught.value.param


WEATHER = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "Tells the weather of a city.",
        "parameters": {
            "type": "object",
            "properties": {
                "city": {"type": "string"},
                "unit": {"type": "string", "enum": ["celsius", "fahrenheit"]},
            },
            "required": ["city", "unit"],
        },
    },
}


def test_a_small_model_calls_a_tool_when_it_must(client: openai.OpenAI) -> None:
    """Its template knows no tools: it is told of them in words, and the form is enforced.

    The result goes back, and the model answers in words.
    """
    messages: list[object] = [{"role": "user", "content": "Weather in Paris, in celsius?"}]
    answer = client.chat.completions.create(
        model=MODEL,
        messages=messages,  # type: ignore[arg-type]
        tools=[WEATHER],  # type: ignore[list-item]
        tool_choice="required",
        parallel_tool_calls=False,
        temperature=0,
        max_tokens=100,
    )
    choice = answer.choices[0]
    (call,) = choice.message.tool_calls or ()
    assert "function" == call.type
    arguments = json.loads(call.function.arguments)

    assert ("tool_calls", "get_weather") == (choice.finish_reason, call.function.name)
    assert {"city", "unit"} == set(arguments)
    assert arguments["unit"] in {"celsius", "fahrenheit"}

    messages += [
        choice.message.to_dict(),
        {"role": "tool", "tool_call_id": call.id, "content": "It is sunny, 22 degrees."},
    ]
    told = client.chat.completions.create(
        model=MODEL,
        messages=messages,  # type: ignore[arg-type]
        tools=[WEATHER],  # type: ignore[list-item]
        tool_choice="none",
        temperature=0,
        max_tokens=40,
    )
    assert told.choices[0].message.content
    assert told.choices[0].message.tool_calls is None


def test_log_probabilities_of_a_prompt(client: openai.OpenAI) -> None:
    """What an evaluation harness asks for: those of an answer, read as part of the prompt."""
    prompt = "The capital of France is"
    answer = client.completions.create(
        model=MODEL, prompt=prompt, temperature=0, max_tokens=2, logprobs=1
    ).choices[0]
    assert answer.logprobs is not None
    echoed = client.completions.create(
        model=MODEL, prompt=prompt + answer.text, max_tokens=0, logprobs=1, echo=True
    ).choices[0]
    logprobs = echoed.logprobs
    assert logprobs is not None
    assert logprobs.token_logprobs is not None
    assert logprobs.tokens is not None

    assert prompt + answer.text == echoed.text == "".join(logprobs.tokens)
    assert logprobs.tokens[-2:] == answer.logprobs.tokens
    # The SDK's types do not say that the first one is null.
    assert [None] == [value for value in logprobs.token_logprobs if value is None]
    for sampled, read in zip(
        answer.logprobs.token_logprobs or (), logprobs.token_logprobs[-2:], strict=True
    ):
        # The one was computed alone and the other in a batch, in which kernels round otherwise.
        assert abs(sampled - read) < 1.0


def test_tokens_are_counted_before_they_are_paid_for(client: openai.OpenAI, served: Server) -> None:
    """The count is what the request's usage says afterwards."""
    counted = httpx.post(
        f"{served.url}/v1/chat/completions/input_tokens",
        json={"model": MODEL, "messages": FRANCE},
        timeout=30,
    ).json()
    answer = client.chat.completions.create(
        model=MODEL,
        messages=FRANCE,  # type: ignore[arg-type]
        max_tokens=1,
    )

    assert answer.usage is not None
    assert counted["input_tokens"] == answer.usage.prompt_tokens
