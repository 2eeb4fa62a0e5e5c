"""Every field of the APIs is honoured, refused or a documented no-op."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, get_type_hints

import msgspec
import pytest
from openai.types import chat as sdk_chat
from openai.types import completion_create_params as sdk_completion
from openai.types import embedding_create_params as sdk_embedding
from openai.types.chat import chat_completion_content_part_param as sdk_part
from openai.types.chat import completion_create_params as sdk_chat_completion
from treatments import check_treatment

from stoker.dialect import Call
from stoker_litestar.dialects.fields import FieldTable, Treatment
from stoker_litestar.dialects.openai.chat import decode_chat
from stoker_litestar.dialects.openai.chat_fields import CHAT_FIELDS
from stoker_litestar.dialects.openai.completion_fields import COMPLETION_FIELDS
from stoker_litestar.dialects.openai.completions import decode_completion
from stoker_litestar.dialects.openai.embedding_fields import EMBEDDING_FIELDS
from stoker_litestar.dialects.openai.embeddings import decode_embeddings
from stoker_litestar.dialects.openai.wire import chat_message as wire
from stoker_litestar.dialects.openai.wire import (
    chat_request,
    completion_request,
    embedding_request,
    generation,
)

TOOL = {"type": "function", "function": {"name": "add"}}
CHAT: dict[str, Any] = {"model": "m", "messages": [{"role": "user", "content": "Hi"}]}
COMPLETION: dict[str, Any] = {"model": "m", "prompt": "Hi"}
EMBEDDING: dict[str, Any] = {"model": "m", "input": "Hi"}

# A value for every field that shows whether it does something, with what it needs beside it.
CHAT_VALUES: dict[str, dict[str, Any]] = {
    "messages": {"messages": [{"role": "user", "content": "Ho"}]},
    "audio": {"audio": {"voice": "alloy", "format": "wav"}},
    "function_call": {"function_call": "auto"},
    "functions": {"functions": [{"name": "f"}]},
    "logprobs": {"logprobs": True},
    "max_completion_tokens": {"max_completion_tokens": 5},
    "max_tokens": {"max_tokens": 5},
    "metadata": {"metadata": {"a": "b"}},
    "modalities": {"modalities": ["text", "audio"]},
    "moderation": {"moderation": {"model": "x"}},
    "parallel_tool_calls": {"parallel_tool_calls": False},
    "prediction": {"prediction": {"type": "content", "content": "x"}},
    "prompt_cache_key": {"prompt_cache_key": "x"},
    "prompt_cache_options": {"prompt_cache_options": {"mode": "implicit"}},
    "prompt_cache_retention": {"prompt_cache_retention": "24h"},
    "reasoning_effort": {"reasoning_effort": "low"},
    "response_format": {"response_format": {"type": "json_object"}},
    "safety_identifier": {"safety_identifier": "x"},
    "service_tier": {"service_tier": "flex"},
    "store": {"store": True},
    "tool_choice": {"tool_choice": "none"},
    "tools": {"tools": [TOOL]},
    "top_logprobs": {"top_logprobs": 2, "logprobs": True},
    "verbosity": {"verbosity": "low"},
    "web_search_options": {"web_search_options": {}},
    "add_generation_prompt": {"add_generation_prompt": False},
    "continue_final_message": {"continue_final_message": True},
    "reasoning": {"reasoning": {"effort": "low"}},
    "reasoning_budget_tokens": {"reasoning_budget_tokens": 5},
    "chat_template_kwargs": {"chat_template_kwargs": {"a": 1}},
}
SHARED_VALUES: dict[str, dict[str, Any]] = {
    "model": {"model": "other"},
    "frequency_penalty": {"frequency_penalty": 1.0},
    "logit_bias": {"logit_bias": {"5": -100}},
    "n": {"n": 2},
    "presence_penalty": {"presence_penalty": 1},
    "seed": {"seed": 2**63},
    "stop": {"stop": "x"},
    "stream": {"stream": True},
    "stream_options": {"stream_options": {"include_usage": True}, "stream": True},
    "temperature": {"temperature": 0},
    "top_p": {"top_p": 0.5},
    "user": {"user": "x"},
    "grammar": {"grammar": "root ::= 'a'"},
    "ignore_eos": {"ignore_eos": True},
    "min_p": {"min_p": 0.5},
    "repeat_last_n": {"repeat_last_n": 5},
    "repetition_penalty": {"repetition_penalty": 1.5},
    "structured_outputs": {"structured_outputs": {"regex": "a+"}},
    "top_k": {"top_k": 5},
}
COMPLETION_VALUES: dict[str, dict[str, Any]] = {
    "prompt": {"prompt": "Ho"},
    "best_of": {"best_of": 3},
    "echo": {"echo": True},
    "logprobs": {"logprobs": 2},
    "max_tokens": {"max_tokens": 5},
    "suffix": {"suffix": "x"},
}
EMBEDDING_VALUES: dict[str, dict[str, Any]] = {
    "model": {"model": "other"},
    "input": {"input": "Ho"},
    "dimensions": {"dimensions": 5},
    "encoding_format": {"encoding_format": "base64"},
    "user": {"user": "x"},
}
Decode = Callable[[bytes], Call]
ROUTES = [
    (decode_chat, CHAT, CHAT_FIELDS, SHARED_VALUES | CHAT_VALUES),
    (decode_completion, COMPLETION, COMPLETION_FIELDS, SHARED_VALUES | COMPLETION_VALUES),
    (decode_embeddings, EMBEDDING, EMBEDDING_FIELDS, EMBEDDING_VALUES),
]
FIELDS = [
    pytest.param(decode, body, table, name, values, id=f"{decode.__name__}-{name}")
    for decode, body, table, all_values in ROUTES
    for name, values in all_values.items()
]


@pytest.mark.parametrize(
    ("table", "struct", "params"),
    [
        (
            CHAT_FIELDS,
            chat_request.ChatRequest,
            sdk_chat_completion.CompletionCreateParamsStreaming,
        ),
        (
            COMPLETION_FIELDS,
            completion_request.CompletionRequest,
            sdk_completion.CompletionCreateParamsStreaming,
        ),
        (
            EMBEDDING_FIELDS,
            embedding_request.EmbeddingRequest,
            sdk_embedding.EmbeddingCreateParams,
        ),
    ],
    ids=["chat", "completions", "embeddings"],
)
def test_the_tables_are_complete(
    table: FieldTable, struct: type[msgspec.Struct], params: Any
) -> None:
    """Table and Struct have the same fields, among them all of the official client's."""
    official = set(get_type_hints(params))

    assert set(struct.__struct_fields__) == set(table)
    assert set() == official - set(table)
    for name, rule in table.items():
        is_extension = name not in official
        assert rule.reason or rule.treatment is Treatment.HONOURED, name
        assert is_extension == rule.reason.startswith("an extension"), name


@pytest.mark.parametrize(("decode", "body", "table", "name", "values"), FIELDS)
def test_fields_do_what_the_table_says(
    decode: Decode, body: dict[str, Any], table: FieldTable, name: str, values: dict[str, Any]
) -> None:
    """Honoured fields change the call, refused ones are named errors, no-ops change nothing."""

    def call(fields: dict[str, Any]) -> Any:
        made = decode(json.dumps(body | fields).encode())
        return made.request, made.stream, getattr(made.encoder, "keywords", None)

    check_treatment(call, table, name, values)


@pytest.mark.parametrize(("decode", "body", "table", "name", "values"), FIELDS)
def test_null_is_unset(
    decode: Decode, body: dict[str, Any], table: FieldTable, name: str, values: dict[str, Any]
) -> None:
    """Every field that is not required may be null, as many clients send it."""
    if name in body:
        return
    assert (
        decode(json.dumps(body).encode()).request
        == decode(json.dumps(body | {name: None}).encode()).request
    )


def test_harmless_values_are_let_through() -> None:
    """A refused field that asks for what happens anyway is fine."""
    harmless = {
        "modalities": ["text"],
        "service_tier": "auto",
        "store": False,
        "verbosity": "medium",
    }

    decode_chat(json.dumps(CHAT | harmless).encode())


@pytest.mark.parametrize(
    ("struct", "official"),
    [
        (wire.SystemMessage, sdk_chat.ChatCompletionSystemMessageParam),
        (wire.DeveloperMessage, sdk_chat.ChatCompletionDeveloperMessageParam),
        (wire.UserMessage, sdk_chat.ChatCompletionUserMessageParam),
        (wire.AssistantMessage, sdk_chat.ChatCompletionAssistantMessageParam),
        (wire.ToolMessage, sdk_chat.ChatCompletionToolMessageParam),
        (wire.TextContent, sdk_chat.ChatCompletionContentPartTextParam),
        (wire.ImageContent, sdk_chat.ChatCompletionContentPartImageParam),
        (wire.AudioContent, sdk_chat.ChatCompletionContentPartInputAudioParam),
        (wire.RefusalContent, sdk_chat.ChatCompletionContentPartRefusalParam),
        (wire.FileContent, sdk_part.File),
        (generation.StreamOptions, sdk_chat.ChatCompletionStreamOptionsParam),
        (chat_request.FunctionTool, sdk_chat.ChatCompletionFunctionToolParam),
    ],
)
def test_nested_structs_are_complete(struct: type[msgspec.Struct], official: type) -> None:
    """What is inside the fields has all of the official client's fields as well."""
    tag = {struct.__struct_config__.tag_field} - {None}

    assert set() == set(get_type_hints(official)) - set(struct.__struct_fields__) - tag
