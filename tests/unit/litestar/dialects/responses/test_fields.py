"""Every field of the API is honoured, refused or a documented no-op."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, get_type_hints

import msgspec
import pytest
from openai.types import responses as sdk
from openai.types import shared_params
from openai.types.responses import (
    input_token_count_params,
    response_create_params,
    response_input_item_param,
    response_input_message_content_list_param,
)
from treatments import check_treatment

from stoker.dialect import Call, Continuation
from stoker.errors import InvalidRequestError, UnsupportedFeatureError
from stoker_litestar.dialects.fields import FieldTable, Treatment
from stoker_litestar.dialects.responses import conversation
from stoker_litestar.dialects.responses.count import decode_count
from stoker_litestar.dialects.responses.response_fields import COUNT_FIELDS, RESPONSE_FIELDS
from stoker_litestar.dialects.responses.responses import decode_response
from stoker_litestar.dialects.responses.wire import items, request

SCHEMA = {"type": "object"}
TOOL = {"type": "function", "name": "add", "parameters": SCHEMA}
BODY: dict[str, Any] = {"model": "m", "input": "Hi"}
LOGPROBS = {"include": ["message.output_text.logprobs"]}

# A value for every field that shows whether it does something, with what it needs beside it.
PROMPT_VALUES: dict[str, dict[str, Any]] = {
    "model": {"model": "other"},
    "input": {"input": "Ho"},
    "instructions": {"instructions": "Be brief."},
    "previous_response_id": {"previous_response_id": "resp_1"},
    "conversation": {"conversation": "conv_1"},
    "parallel_tool_calls": {"parallel_tool_calls": False},
    "reasoning": {"reasoning": {"effort": "low"}},
    "tool_choice": {"tool_choice": "required", "tools": [TOOL]},
    "tools": {"tools": [TOOL]},
    "truncation": {"truncation": "auto"},
}
RESPONSE_VALUES: dict[str, dict[str, Any]] = PROMPT_VALUES | {
    "text": {"text": {"format": {"type": "json_object"}}},
    "access_programs": {"access_programs": {"cyber": "standard"}},
    "background": {"background": True},
    "background_options": {"background_options": {"completion_window": "2h"}},
    "context_management": {"context_management": [{"type": "compaction"}]},
    "image": {"image": {"context_compression": "auto"}},
    "include": LOGPROBS,
    "max_output_tokens": {"max_output_tokens": 5},
    "max_tool_calls": {"max_tool_calls": 5},
    "metadata": {"metadata": {"a": "b"}},
    "moderation": {"moderation": {"model": "x"}},
    "prompt": {"prompt": {"id": "x"}},
    "prompt_cache_key": {"prompt_cache_key": "x"},
    "prompt_cache_options": {"prompt_cache_options": {"mode": "implicit"}},
    "prompt_cache_retention": {"prompt_cache_retention": "24h"},
    "safety_identifier": {"safety_identifier": "x"},
    "service_tier": {"service_tier": "flex"},
    "store": {"store": False},
    "stream": {"stream": True},
    "stream_options": {"stream_options": {"include_obfuscation": False}, "stream": True},
    "temperature": {"temperature": 0},
    "top_logprobs": {"top_logprobs": 2} | LOGPROBS,
    "top_p": {"top_p": 0.5},
    "user": {"user": "x"},
    "frequency_penalty": {"frequency_penalty": 1.0},
    "presence_penalty": {"presence_penalty": 1.0},
    "min_p": {"min_p": 0.5},
    "seed": {"seed": 5},
    "stop": {"stop": "x"},
    "top_k": {"top_k": 5},
}
COUNT_VALUES = PROMPT_VALUES | {"personality": {"personality": "friendly"}}
Decode = Callable[[bytes], Call | Continuation]
FIELDS = [
    pytest.param(decode, table, name, values, id=f"{decode.__name__}-{name}")
    for decode, table, all_values in (
        (decode_response, RESPONSE_FIELDS, RESPONSE_VALUES),
        (decode_count, COUNT_FIELDS, COUNT_VALUES),
    )
    for name, values in all_values.items()
]


@pytest.mark.parametrize(
    ("table", "struct", "params"),
    [
        (
            RESPONSE_FIELDS,
            request.ResponseRequest,
            response_create_params.ResponseCreateParamsStreaming,
        ),
        (COUNT_FIELDS, request.CountRequest, input_token_count_params.InputTokenCountParams),
    ],
    ids=["responses", "input_tokens"],
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


def test_every_field_is_tried() -> None:
    """The values above are of all fields; in a count the text changes nothing."""
    assert set(RESPONSE_FIELDS) == set(RESPONSE_VALUES)
    assert {"text"} == set(COUNT_FIELDS) - set(COUNT_VALUES)


@pytest.mark.parametrize(("decode", "table", "name", "values"), FIELDS)
def test_fields_do_what_the_table_says(
    decode: Decode, table: FieldTable, name: str, values: dict[str, Any]
) -> None:
    """Honoured fields change the call, refused ones are named errors, no-ops change nothing."""

    def call(fields: dict[str, Any]) -> Any:
        made = decode(json.dumps(BODY | fields).encode())
        if isinstance(made, Continuation):
            return made.record_id
        return made.request, made.stream, getattr(made.encoder, "keywords", None)

    check_treatment(call, table, name, values)


@pytest.mark.parametrize(("decode", "table", "name", "values"), FIELDS)
def test_null_is_unset(
    decode: Decode, table: FieldTable, name: str, values: dict[str, Any]
) -> None:
    """Every field that is not required may be null, as many clients send it."""
    if name in BODY:
        return
    plain, null = (decode(json.dumps(BODY | extra).encode()) for extra in ({}, {name: None}))
    assert isinstance(plain, Call)
    assert isinstance(null, Call)
    assert plain.request == null.request


def test_harmless_values_are_let_through() -> None:
    """A refused field that asks for what happens anyway is fine."""
    harmless = {
        "background": False,
        "context_management": [],
        "service_tier": "auto",
        "truncation": "disabled",
        "text": {"verbosity": "medium"},
        "reasoning": {"mode": "standard", "context": "auto"},
        "include": ["reasoning.encrypted_content", "web_search_call.action.sources"],
    }

    decode_response(json.dumps(BODY | harmless).encode())


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"text": {"verbosity": "low"}}, "text.verbosity"),
        ({"reasoning": {"mode": "pro"}}, "reasoning.mode"),
        (
            {"stream": True, "stream_options": {"include_obfuscation": True}},
            "stream_options.include_obfuscation",
        ),
    ],
)
def test_parts_of_fields_are_refused_by_name(fields: dict[str, Any], param: str) -> None:
    """What cannot be done inside of an honoured field is an error of its own."""
    with pytest.raises(UnsupportedFeatureError) as caught:
        decode_response(json.dumps(BODY | fields).encode())

    assert param == caught.value.param


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"include": ["nonsense"]}, "include[0]"),
        ({"top_logprobs": 2}, "top_logprobs"),
        ({"stream_options": {}}, "stream_options"),
        ({"max_output_tokens": 0}, "max_output_tokens"),
        ({"temperature": -1}, "temperature"),
        ({"nonsense": 1}, "nonsense"),
        ({"metadata": {"a": 1}}, "metadata[...]"),
    ],
)
def test_wrong_values_are_named(fields: dict[str, Any], param: str) -> None:
    """The error says which field is wrong."""
    with pytest.raises(InvalidRequestError) as caught:
        decode_response(json.dumps(BODY | fields).encode())

    assert param == caught.value.param


@pytest.mark.parametrize(
    ("struct", "official"),
    [
        (items.InputText, sdk.ResponseInputTextParam),
        (items.InputImage, sdk.ResponseInputImageParam),
        (items.OutputText, sdk.ResponseOutputTextParam),
        (items.Refusal, sdk.ResponseOutputRefusalParam),
        (items.MessageItem, sdk.EasyInputMessageParam),
        (items.MessageItem, sdk.ResponseOutputMessageParam),
        (items.MessageItem, response_input_item_param.Message),
        (items.FunctionCall, sdk.ResponseFunctionToolCallParam),
        (items.FunctionCallOutput, response_input_item_param.FunctionCallOutput),
        (items.Reasoning, sdk.ResponseReasoningItemParam),
        (items.ItemReference, response_input_item_param.ItemReference),
        (request.FunctionTool, sdk.FunctionToolParam),
        (request.FunctionChoice, sdk.ToolChoiceFunctionParam),
        (request.AllowedTools, sdk.ToolChoiceAllowedParam),
        (request.TextConfig, sdk.ResponseTextConfigParam),
        (request.JsonSchemaFormat, sdk.ResponseFormatTextJSONSchemaConfigParam),
        (request.ReasoningConfig, shared_params.Reasoning),
        (request.StreamOptions, response_create_params.StreamOptions),
    ],
)
def test_nested_structs_are_complete(struct: type[msgspec.Struct], official: type) -> None:
    """What is inside the fields has all of the official client's fields as well."""
    tag = {struct.__struct_config__.tag_field} - {None}
    known = {field.encode_name for field in msgspec.structs.fields(struct)}

    assert set() == set(get_type_hints(official)) - known - tag


def test_every_kind_of_item_is_taken_or_refused() -> None:
    """No item and no part that the official client can send is unknown."""
    kinds = {
        get_type_hints(kind)["type"]
        for kind in response_input_item_param.ResponseInputItemParam.__args__
    }
    parts = {
        get_type_hints(kind)["type"]
        for kind in response_input_message_content_list_param.ResponseInputContentParam.__args__
    }

    assert set() == _literals(kinds) - set(conversation._KINDS) - set(conversation._HOSTED)
    assert set() == _literals(parts) - set(conversation._PARTS) - set(conversation._FILES)


def _literals(hints: set[Any]) -> set[str]:
    """The values of literals, also of optional ones."""
    found: set[str] = set()
    for hint in hints:
        arguments = getattr(hint, "__args__", ())
        found |= {argument for argument in arguments if isinstance(argument, str)}
        found |= _literals({argument for argument in arguments if hasattr(argument, "__args__")})
    return found
