"""Decoding of chat completions."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from stoker.errors import InvalidRequestError, UnsupportedFeatureError
from stoker.messages import (
    AudioPart,
    Author,
    ImagePart,
    Message,
    TextPart,
    Tool,
    ToolCall,
    ToolChoice,
    ToolChoiceMode,
)
from stoker.request import (
    ChatPrompt,
    Constraint,
    ConstraintKind,
    Effort,
    GenerateRequest,
    Reasoning,
)
from stoker.sampling import SamplingParams
from stoker_litestar.dialects.openai.chat import decode_chat

HI = {"role": "user", "content": "Hi"}
ADD = {
    "type": "function",
    "function": {
        "name": "add",
        "description": "Adds.",
        "parameters": {"type": "object"},
        "strict": True,
    },
}
BE = {"type": "text", "text": "Be"}
BRIEF = {"type": "text", "text": " brief."}
DATA = base64.b64encode(b"bytes").decode()


def decode(**fields: Any) -> GenerateRequest:
    return decode_chat(json.dumps({"model": "m", "messages": [HI]} | fields).encode()).request


def prompt(**fields: Any) -> ChatPrompt:
    made = decode(**fields).prompt
    assert isinstance(made, ChatPrompt)
    return made


def refusal(**fields: Any) -> InvalidRequestError:
    with pytest.raises(InvalidRequestError) as caught:
        decode(**fields)
    return caught.value


def test_a_bare_request_leaves_everything_unset() -> None:
    """Defaults are the model's, not the dialect's."""
    assert GenerateRequest("m", ChatPrompt((Message(Author.USER, (TextPart("Hi"),)),))) == decode()


def test_messages_of_all_roles() -> None:
    """A whole conversation with tools arrives typed."""
    messages = [
        {"role": "system", "content": "Be kind."},
        {"role": "developer", "content": [BE, BRIEF]},
        {"role": "user", "content": "1+1?", "name": "ada"},
        {
            "role": "assistant",
            "content": None,
            "reasoning_content": "Hm.",
            "tool_calls": [
                {"id": "c1", "type": "function", "function": {"name": "add", "arguments": "{}"}}
            ],
        },
        {"role": "tool", "tool_call_id": "c1", "content": "2"},
        {"role": "assistant", "content": "2", "refusal": None, "annotations": []},
        {"role": "assistant", "content": [{"type": "refusal", "refusal": "No."}]},
    ]

    assert (
        Message(Author.SYSTEM, (TextPart("Be kind."),)),
        Message(Author.DEVELOPER, (TextPart("Be"), TextPart(" brief."))),
        Message(Author.USER, (TextPart("1+1?"),), name="ada"),
        Message(Author.ASSISTANT, tool_calls=(ToolCall("c1", "add", "{}"),), reasoning="Hm."),
        Message(Author.TOOL, (TextPart("2"),), tool_call_id="c1"),
        Message(Author.ASSISTANT, (TextPart("2"),)),
        Message(Author.ASSISTANT, (TextPart("No."),)),
    ) == prompt(messages=messages).messages


def test_images_and_audio_are_decoded() -> None:
    """Media arrive as bytes with their type."""
    content = [
        {"type": "text", "text": "What?"},
        {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{DATA}"}},
        {"type": "input_audio", "input_audio": {"data": DATA, "format": "mp3"}},
    ]

    assert (
        TextPart("What?"),
        ImagePart(b"bytes", "image/png"),
        AudioPart(b"bytes", "audio/mpeg"),
    ) == prompt(messages=[{"role": "user", "content": content}]).messages[0].parts


@pytest.mark.parametrize(
    ("message", "param"),
    [
        ({"role": "user"}, "messages[1].content"),
        ({"role": "user", "content": None}, "messages[1].content"),
        ({"role": "user", "content": [{"type": "text"}]}, "messages[1].content[0].text"),
        ({"role": "user", "content": [{"type": "x"}]}, "messages[1].content[0].type"),
        ({"role": "wizard", "content": ""}, "messages[1].role"),
        ({"content": ""}, "messages[1].role"),
        ({"role": "user", "content": "", "extra": 1}, "messages[1].extra"),
        ({"role": "assistant"}, "messages[1].content"),
        ({"role": "assistant", "function_call": {}}, "messages[1].function_call"),
        ({"role": "assistant", "audio": {"id": "x"}}, "messages[1].audio"),
        (
            {"role": "assistant", "tool_calls": [{"id": "c", "type": "custom", "function": {}}]},
            "messages[1].tool_calls[0].type",
        ),
        ({"role": "tool", "content": "2"}, "messages[1].tool_call_id"),
        (
            {"role": "user", "content": [{"type": "file", "file": {}}]},
            "messages[1].content[0].file",
        ),
    ],
)
def test_a_malformed_message_is_named(message: dict[str, Any], param: str) -> None:
    """The error says which message, and what in it."""
    assert param == refusal(messages=[HI, message]).param


@pytest.mark.parametrize(
    ("url", "kind"),
    [
        ("https://example.com/cat.png", UnsupportedFeatureError),
        ("file:///etc/passwd", UnsupportedFeatureError),
        ("data:image/png,abc", InvalidRequestError),
        ("data:text/plain;base64,YQ==", InvalidRequestError),
        ("data:image/png;base64,***", InvalidRequestError),
        ("data:image/png;base64,", InvalidRequestError),
    ],
)
def test_images_are_in_the_request_or_refused(url: str, kind: type[Exception]) -> None:
    """Nothing is fetched for a client, and broken data is named."""
    content = [{"type": "image_url", "image_url": {"url": url}}]

    error = refusal(messages=[{"role": "user", "content": content}])

    assert kind is type(error)
    assert "messages[0].content[0].image_url.url" == error.param


def test_a_conversation_has_messages() -> None:
    """No message is nothing to answer."""
    assert "messages" == refusal(messages=[]).param


def test_sampling() -> None:
    """All sampling fields arrive, extensions as well."""
    request = decode(
        temperature=0.5,
        top_p=0.9,
        top_k=7,
        min_p=0.1,
        repetition_penalty=1.1,
        presence_penalty=0.2,
        frequency_penalty=0.3,
        repeat_last_n=9,
        seed=-1,
        logit_bias={"5": -100, "6": 1.5},
        logprobs=True,
        top_logprobs=3,
    )

    assert (
        SamplingParams(
            temperature=0.5,
            top_p=0.9,
            top_k=7,
            min_p=0.1,
            repetition_penalty=1.1,
            presence_penalty=0.2,
            frequency_penalty=0.3,
            penalty_window=9,
            seed=-1,
            logit_bias={5: -100, 6: 1.5},
            logprobs=3,
        )
        == request.sampling
    )


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"temperature": -1}, "temperature"),
        ({"temperature": "hot"}, "temperature"),
        ({"top_p": 0}, "top_p"),
        ({"top_k": -1}, "top_k"),
        ({"presence_penalty": 3}, "presence_penalty"),
        ({"n": 0}, "n"),
        ({"n": 1000}, "n"),
        ({"stop": [""]}, "stop"),
        ({"stop": ["x"] * 65}, "stop"),
        ({"max_tokens": 0}, "max_tokens"),
        ({"max_completion_tokens": 0}, "max_completion_tokens"),
        ({"max_completion_tokens": 5, "max_tokens": 6}, "max_tokens"),
        ({"top_logprobs": 3}, "top_logprobs"),
        ({"logprobs": True, "top_logprobs": 21}, "top_logprobs"),
        ({"logit_bias": {"x": 1}}, "logit_bias"),
        ({"logit_bias": {"-1": 1}}, "logit_bias"),
        ({"stream_options": {"include_usage": True}}, "stream_options"),
        (
            {"stream": True, "stream_options": {"include_obfuscation": True}},
            "stream_options.include_obfuscation",
        ),
        ({"tool_choice": "required"}, "tool_choice"),
        (
            {"tool_choice": {"type": "allowed_tools", "allowed_tools": {}}},
            "tool_choice.allowed_tools.mode",
        ),
        ({"tool_choice": {"type": "custom", "custom": {"name": "x"}}}, "tool_choice"),
        ({"reasoning_effort": "huge"}, "reasoning_effort"),
        ({"reasoning_effort": "low", "reasoning": {"effort": "low"}}, "reasoning.effort"),
        (
            {"reasoning_budget_tokens": 1, "reasoning": {"max_tokens": 1}},
            "reasoning.max_tokens",
        ),
        (
            {"tools": [ADD], "tool_choice": {"type": "function", "function": {"name": "sub"}}},
            "tool_choice.function.name",
        ),
        ({"tools": [ADD, {"type": "custom", "custom": {"name": "x"}}]}, "tools[1].custom"),
        ({"response_format": {"type": "xml"}}, "response_format.type"),
        ({"response_format": {"type": "json_schema"}}, "response_format.json_schema"),
        ({"response_format": {"type": "json_object"}, "grammar": "x"}, "response_format"),
        ({"structured_outputs": {"regex": "x"}, "grammar": "x"}, "grammar"),
        ({"structured_outputs": {"regex": "x", "choice": ["a"]}}, "structured_outputs"),
        ({"structured_outputs": {}}, "structured_outputs"),
    ],
)
def test_wrong_values_are_named(fields: dict[str, Any], param: str) -> None:
    """The error carries the field in the client's own words."""
    assert param == refusal(**fields).param


def test_tools() -> None:
    """Tools arrive with their schemas."""
    made = prompt(tools=[ADD], parallel_tool_calls=False)

    assert (Tool("add", "Adds.", {"type": "object"}, strict=True),) == made.tools
    assert not made.parallel_tool_calls


@pytest.mark.parametrize(
    ("choice", "expected"),
    [
        (None, ToolChoice()),
        ("auto", ToolChoice()),
        ("none", ToolChoice(ToolChoiceMode.NONE)),
        ("required", ToolChoice(ToolChoiceMode.REQUIRED)),
        (
            {"type": "function", "function": {"name": "add"}},
            ToolChoice(ToolChoiceMode.REQUIRED, "add"),
        ),
    ],
)
def test_tool_choice(choice: Any, expected: ToolChoice) -> None:
    """Every form of the choice arrives."""
    assert expected == prompt(tools=[ADD], tool_choice=choice).tool_choice


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"response_format": {"type": "text"}}, None),
        ({"response_format": {"type": "json_object"}}, Constraint(ConstraintKind.JSON_OBJECT)),
        (
            {
                "response_format": {
                    "type": "json_schema",
                    "json_schema": {"name": "x", "schema": {"b": 1, "a": 2}, "strict": True},
                }
            },
            Constraint(ConstraintKind.JSON_SCHEMA, '{"b":1,"a":2}'),
        ),
        ({"grammar": "root ::= 'x'"}, Constraint(ConstraintKind.GBNF, "root ::= 'x'")),
        ({"structured_outputs": {"regex": "a"}}, Constraint(ConstraintKind.REGEX, "a")),
        (
            {"structured_outputs": {"choice": ["a", "b"]}},
            Constraint(ConstraintKind.CHOICE, '["a","b"]'),
        ),
        (
            {"structured_outputs": {"json": {"a": 1}}},
            Constraint(ConstraintKind.JSON_SCHEMA, '{"a":1}'),
        ),
        (
            {"structured_outputs": {"json": '{"a": 1}'}},
            Constraint(ConstraintKind.JSON_SCHEMA, '{"a": 1}'),
        ),
        ({"structured_outputs": {"json_object": True}}, Constraint(ConstraintKind.JSON_OBJECT)),
        (
            {"grammar": "# a\nstart: A\nA: '::='"},
            Constraint(ConstraintKind.LARK, "# a\nstart: A\nA: '::='"),
        ),
        ({"structured_outputs": {"grammar": "x"}}, Constraint(ConstraintKind.LARK, "x")),
        (
            {"structured_outputs": {"grammar": "# a\n  root-a ::= x"}},
            Constraint(ConstraintKind.GBNF, "# a\n  root-a ::= x"),
        ),
    ],
)
def test_constraints(fields: dict[str, Any], expected: Constraint | None) -> None:
    """Every way to prescribe a form arrives, with the order of keys kept."""
    assert expected == decode(**fields).constraint


SCHEMA = {"name": "x", "schema": {}}


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"response_format": {"type": "json_object"}}, "response_format"),
        (
            {
                "response_format": {
                    "type": "json_schema",
                    "json_schema": {"name": "x", "schema": {}},
                }
            },
            "response_format",
        ),
        ({"grammar": "root ::= 'x'"}, "grammar"),
        ({"structured_outputs": {"regex": "a"}}, "structured_outputs.regex"),
        ({"structured_outputs": {"json": {}}}, "structured_outputs.json"),
    ],
)
def test_constraints_know_their_field(fields: dict[str, Any], param: str) -> None:
    """Errors of the runner can name it."""
    constraint = decode(**fields).constraint

    assert constraint is not None
    assert param == constraint.param


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({}, Reasoning()),
        ({"reasoning_effort": "high"}, Reasoning(Effort.HIGH)),
        ({"reasoning_effort": "none"}, Reasoning(Effort.NONE)),
        ({"reasoning_budget_tokens": 0}, Reasoning(budget_tokens=0)),
        ({"reasoning": {"effort": "low", "max_tokens": 9}}, Reasoning(Effort.LOW, 9)),
        ({"reasoning": {"summary": "auto"}}, Reasoning()),
    ],
)
def test_reasoning(fields: dict[str, Any], expected: Reasoning) -> None:
    """Effort and budget are what the client says."""
    assert expected == prompt(**fields).reasoning


def test_template_arguments() -> None:
    """The template gets what the client says."""
    assert {"a": 1} == prompt(chat_template_kwargs={"a": 1}).template_arguments


def test_an_answer_that_is_begun() -> None:
    """It is continued on request, and no other is begun then."""
    said = prompt(continue_final_message=True)

    assert (True, False) == (said.continue_final_message, said.add_generation_prompt)
    error = refusal(continue_final_message=True, add_generation_prompt=True)
    assert "continue_final_message" == error.param


def test_allowed_tools() -> None:
    """Only some of the tools are shown to the model, and one of them must be called if so said."""
    other = {"type": "function", "function": {"name": "sub"}}
    allowed = {"mode": "required", "tools": [{"type": "function", "function": {"name": "sub"}}]}
    choice = {"type": "allowed_tools", "allowed_tools": allowed}
    said = prompt(tools=[ADD, other], tool_choice=choice)

    assert (["sub"], ToolChoice(ToolChoiceMode.REQUIRED)) == (
        [tool.name for tool in said.tools],
        said.tool_choice,
    )
    error = refusal(tools=[ADD], tool_choice=choice)
    assert "tool_choice.allowed_tools.tools[0].function.name" == error.param


@pytest.mark.parametrize("name", ["max_tokens", "max_completion_tokens"])
def test_both_names_of_the_limit(name: str) -> None:
    """The old and the new name mean the same."""
    assert 5 == decode(**{name: 5}).max_tokens
