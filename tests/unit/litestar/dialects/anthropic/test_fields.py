"""Every field of the API is honoured, refused or a documented no-op."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, get_type_hints

import msgspec
import pytest
from anthropic import types as sdk
from anthropic.types import (
    base64_image_source_param,
    beta,
    message_count_tokens_params,
    message_create_params,
    tool_result_block_param,
)
from anthropic.types.beta import message_count_tokens_params as beta_count_params
from anthropic.types.beta import message_create_params as beta_create_params
from treatments import check_treatment

from stoker.dialect import Call
from stoker.errors import UnsupportedFeatureError
from stoker_litestar.dialects.anthropic import conversation
from stoker_litestar.dialects.anthropic.count_tokens import decode_count
from stoker_litestar.dialects.anthropic.message_fields import COUNT_FIELDS, MESSAGE_FIELDS
from stoker_litestar.dialects.anthropic.messages import decode_message
from stoker_litestar.dialects.anthropic.wire import content, request
from stoker_litestar.dialects.fields import FieldTable, Treatment

HEADERS = {"betas", "user_profile_id", "workspace_id"}
"""What the client sends as headers; their values change nothing here."""
OLDER = {"temperature", "top_k", "top_p", "output_format"}
"""What the newest client does not offer any more, and older ones send."""
SCHEMA = {"type": "object", "properties": {}}
TOOL = {"name": "add", "input_schema": SCHEMA}
COUNT: dict[str, Any] = {"model": "m", "messages": [{"role": "user", "content": "Hi"}]}
MESSAGE: dict[str, Any] = COUNT | {"max_tokens": 9}

# A value for every field that shows whether it does something, with what it needs beside it.
PROMPT_VALUES: dict[str, dict[str, Any]] = {
    "model": {"model": "other"},
    "messages": {"messages": [{"role": "user", "content": "Ho"}]},
    "system": {"system": "Be brief."},
    "tools": {"tools": [TOOL]},
    "tool_choice": {"tool_choice": {"type": "any"}, "tools": [TOOL]},
    "thinking": {"thinking": {"type": "enabled", "budget_tokens": 1024}},
    "output_config": {"output_config": {"effort": "low"}, "thinking": {"type": "adaptive"}},
    "cache_control": {"cache_control": {"type": "ephemeral"}},
    "speed": {"speed": "fast"},
    "billing_policy": {"billing_policy": {}},
    "compaction": {"compaction": {}},
    "mcp_servers": {"mcp_servers": [{"name": "x"}]},
}
MESSAGE_VALUES: dict[str, dict[str, Any]] = PROMPT_VALUES | {
    "max_tokens": {"max_tokens": 5},
    "output_format": {"output_format": {"type": "json_schema", "schema": SCHEMA}},
    "stop_sequences": {"stop_sequences": ["x"]},
    "stream": {"stream": True},
    "temperature": {"temperature": 0.5},
    "top_k": {"top_k": 5},
    "top_p": {"top_p": 0.5},
    "container": {"container": "x"},
    "diagnostics": {"diagnostics": {"previous_message_id": "x"}},
    "fallback_credit_token": {"fallback_credit_token": "x"},
    "fallbacks": {"fallbacks": [{"model": "x"}]},
    "inference_geo": {"inference_geo": "us"},
    "metadata": {"metadata": {"user_id": "x"}},
    "service_tier": {"service_tier": "standard_only"},
    "thread": {"thread": {}},
}
Decode = Callable[[bytes], Call]
FIELDS = [
    pytest.param(decode, body, table, name, values, id=f"{decode.__name__}-{name}")
    for decode, body, table, all_values in (
        (decode_message, MESSAGE, MESSAGE_FIELDS, MESSAGE_VALUES),
        (decode_count, COUNT, COUNT_FIELDS, PROMPT_VALUES),
    )
    for name, values in all_values.items()
]


@pytest.mark.parametrize(
    ("table", "struct", "params"),
    [
        (
            MESSAGE_FIELDS,
            request.MessagesRequest,
            (
                message_create_params.MessageCreateParamsStreaming,
                beta_create_params.MessageCreateParamsStreaming,
            ),
        ),
        (
            COUNT_FIELDS,
            request.PromptFields,
            (
                message_count_tokens_params.MessageCountTokensParams,
                beta_count_params.MessageCountTokensParams,
            ),
        ),
    ],
    ids=["messages", "count_tokens"],
)
def test_the_tables_are_complete(
    table: FieldTable, struct: type[msgspec.Struct], params: tuple[Any, ...]
) -> None:
    """Table and Struct have the same fields: the official client's, and some of older ones."""
    official = set().union(*(get_type_hints(kind) for kind in params)) - HEADERS

    assert set(struct.__struct_fields__) == set(table)
    assert set() == official - set(table)
    assert set(table) - official <= OLDER
    for name, rule in table.items():
        assert rule.reason or rule.treatment is Treatment.HONOURED, name


@pytest.mark.parametrize(("decode", "body", "table", "name", "values"), FIELDS)
def test_fields_do_what_the_table_says(
    decode: Decode, body: dict[str, Any], table: FieldTable, name: str, values: dict[str, Any]
) -> None:
    """Honoured fields change the call, refused ones are named errors, no-ops change nothing."""

    def call(fields: dict[str, Any]) -> Any:
        made = decode(json.dumps(body | fields).encode())
        return made.request, made.stream, getattr(made.encoder, "keywords", None)

    check_treatment(call, table, name, values)


def test_every_field_is_tried() -> None:
    """The values above are of all fields but one, which has its own test below."""
    assert {"context_management"} == set(MESSAGE_FIELDS) - set(MESSAGE_VALUES)
    assert {"context_management", "output_format"} == set(COUNT_FIELDS) - set(PROMPT_VALUES)


def test_only_edits_of_thinking_are_let_through() -> None:
    """Agents send them with every request; what would rewrite the conversation is refused."""
    thinking = {"edits": [{"type": "clear_thinking_20251015", "keep": "all"}]}
    tools = {"edits": [{"type": "clear_tool_uses_20250919"}]}

    decode_message(json.dumps(MESSAGE | {"context_management": thinking}).encode())
    with pytest.raises(UnsupportedFeatureError, match=r"^context_management\.edits\[0\]: "):
        decode_message(json.dumps(MESSAGE | {"context_management": tools}).encode())


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


@pytest.mark.parametrize(
    ("struct", "official"),
    [
        (content.TextBlock, sdk.TextBlockParam),
        (content.ImageBlock, sdk.ImageBlockParam),
        (content.Base64Source, base64_image_source_param.Base64ImageSourceParam),
        (content.ThinkingBlock, sdk.ThinkingBlockParam),
        (content.RedactedThinkingBlock, sdk.RedactedThinkingBlockParam),
        (content.ToolUseBlock, sdk.ToolUseBlockParam),
        (content.ToolResultBlock, tool_result_block_param.ToolResultBlockParam),
        (content.CacheControl, sdk.CacheControlEphemeralParam),
        (request.ToolDefinition, sdk.ToolParam),
        (request.AutoChoice, sdk.ToolChoiceAutoParam),
        (request.AnyChoice, sdk.ToolChoiceAnyParam),
        (request.ToolChoice, sdk.ToolChoiceToolParam),
        (request.NoneChoice, sdk.ToolChoiceNoneParam),
        (request.ThinkingEnabled, sdk.ThinkingConfigEnabledParam),
        (request.ThinkingAdaptive, sdk.ThinkingConfigAdaptiveParam),
        (request.ThinkingDisabled, sdk.ThinkingConfigDisabledParam),
        (request.OutputConfig, sdk.OutputConfigParam),
        (request.OutputConfig, beta.BetaOutputConfigParam),
        (request.JsonOutput, sdk.JSONOutputFormatParam),
    ],
)
def test_nested_structs_are_complete(struct: type[msgspec.Struct], official: type) -> None:
    """What is inside the fields has all of the official client's fields as well."""
    tag = {struct.__struct_config__.tag_field} - {None}

    assert set() == set(get_type_hints(official)) - set(struct.__struct_fields__) - tag


def test_every_kind_of_block_is_taken_or_refused() -> None:
    """No block that the official client can send is unknown."""
    taken: set[str] = set()
    for kinds in (conversation._USER, conversation._ASSISTANT, conversation._SYSTEM):
        taken |= set(kinds)
    kinds_of_client = {
        get_type_hints(kind)["type"].__args__[0]
        for union in (sdk.ContentBlockParam, tool_result_block_param.Content)
        for kind in union.__args__
    }

    assert set() == kinds_of_client - taken - set(conversation._REFUSED)


@pytest.mark.parametrize(
    ("tool", "param"),
    [
        ({"type": "web_search_20250305", "name": "web_search"}, "tools[0].type"),
        ({"type": "bash_20250124", "name": "bash"}, "tools[0].type"),
        (TOOL | {"defer_loading": True}, "tools[0].defer_loading"),
        (TOOL | {"allowed_callers": ["code_execution_20250825"]}, "tools[0].allowed_callers"),
    ],
)
def test_tools_of_others_are_refused(tool: dict[str, Any], param: str) -> None:
    """Only the client's own tools are known, and only the model calls them."""
    with pytest.raises(UnsupportedFeatureError) as caught:
        decode_message(json.dumps(MESSAGE | {"tools": [tool]}).encode())

    assert param == caught.value.param


def test_what_a_tool_may_say() -> None:
    """Examples go to the model with the description; the rest is as it says."""
    tool = TOOL | {
        "type": "custom",
        "description": "Adds.",
        "strict": True,
        "input_examples": [{"a": 1}],
        "allowed_callers": ["direct"],
        "eager_input_streaming": True,
        "cache_control": {"type": "ephemeral", "ttl": "1h"},
    }

    call: Any = decode_message(json.dumps(MESSAGE | {"tools": [tool]}).encode())

    (found,) = call.request.prompt.tools
    assert ("add", 'Adds.\nExamples of its input:\n{"a": 1}', SCHEMA, True) == (
        found.name,
        found.description,
        found.parameters,
        found.strict,
    )


@pytest.mark.parametrize(
    ("field", "param"),
    [
        ({"thinking": {"type": "between_tools"}}, "thinking"),
        ({"output_config": {"task_budget": {}}}, "output_config.task_budget"),
    ],
)
def test_parts_of_fields_are_refused_by_name(field: dict[str, Any], param: str) -> None:
    """What cannot be done inside of an honoured field is an error of its own."""
    with pytest.raises(UnsupportedFeatureError) as caught:
        decode_message(json.dumps(MESSAGE | field).encode())

    assert param == caught.value.param
