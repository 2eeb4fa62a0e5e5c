"""The bodies of `POST /v1/responses` and of its count of tokens.

The fields are those of `openai.types.responses.response_create_params`; what becomes of each stands
in `response_fields`.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec

from stoker.sampling import MAX_LOGPROBS
from stoker_litestar.dialects.responses.wire.items import Item

Positive = Annotated[int, msgspec.Meta(ge=1)]
Effort = Literal["none", "minimal", "low", "medium", "high", "xhigh", "max"]
Summary = Literal["auto", "concise", "detailed"]


class FunctionTool(
    msgspec.Struct,
    frozen=True,
    forbid_unknown_fields=True,
    tag_field="type",
    tag="function",
    rename={"is_async": "async"},
):
    """A function that the model may call."""

    name: str
    parameters: dict[str, Any] | None = None
    strict: bool | None = None
    description: str | None = None
    allowed_callers: list[str] | None = None
    """Refused when it names another one than `direct`."""
    defer_loading: bool | None = None
    """Refused when true."""
    output_schema: dict[str, Any] | None = None
    """A no-op: results are read as they are."""
    is_async: bool | None = None
    """A no-op: results are given whenever the client has them."""


class FunctionChoice(
    msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="type", tag="function"
):
    """The one function that must be called."""

    name: str


class AllowedTools(
    msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="type", tag="allowed_tools"
):
    """A choice among some of the tools."""

    mode: Literal["auto", "required"]
    tools: list[dict[str, Any]]


class TextFormat(
    msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="type", tag="text"
):
    """The answer is free text."""


class JsonObjectFormat(
    msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="type", tag="json_object"
):
    """The answer is some JSON object."""


class JsonSchemaFormat(
    msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="type", tag="json_schema"
):
    """The answer follows a schema, strict or not."""

    name: str
    schema: dict[str, Any]
    description: str | None = None
    strict: bool | None = None


class TextConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`text`."""

    format: TextFormat | JsonObjectFormat | JsonSchemaFormat | None = None
    verbosity: Literal["low", "medium", "high"] | None = None


class ReasoningConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`reasoning`."""

    effort: Effort | None = None
    summary: Summary | None = None
    generate_summary: Summary | None = None
    """The older name of `summary`."""
    context: Literal["auto", "current_turn", "all_turns"] | None = None
    """A no-op: the chat template decides which reasoning of the past the model sees."""
    mode: str | None = None
    """Refused unless it is `standard`."""


class StreamOptions(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`stream_options`."""

    include_obfuscation: bool | None = None


class PromptFields(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a response and a count of its tokens have in common."""

    model: str
    input: str | list[Item] | None = None
    instructions: str | None = None
    previous_response_id: str | None = None
    conversation: Any = None
    parallel_tool_calls: bool | None = None
    reasoning: ReasoningConfig | None = None
    text: TextConfig | None = None
    tool_choice: Any = None
    tools: list[dict[str, Any]] | None = None
    truncation: Literal["auto", "disabled"] | None = None


class CountRequest(PromptFields, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Everything that a count of tokens may say."""

    personality: str | None = None


class ResponseRequest(PromptFields, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Everything that a request for a response may say."""

    access_programs: Any = None
    background: bool | None = None
    background_options: Any = None
    context_management: Any = None
    image: Any = None
    include: list[str] | None = None
    max_output_tokens: Positive | None = None
    max_tool_calls: int | None = None
    metadata: dict[str, str] | None = None
    moderation: Any = None
    prompt: Any = None
    prompt_cache_key: str | None = None
    prompt_cache_options: dict[str, Any] | None = None
    prompt_cache_retention: str | None = None
    safety_identifier: str | None = None
    service_tier: str | None = None
    store: bool | None = None
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    temperature: float | None = None
    top_logprobs: Annotated[int, msgspec.Meta(ge=0, le=MAX_LOGPROBS)] | None = None
    top_p: float | None = None
    user: str | None = None

    # Extensions: the penalties are Open Responses', the others have vLLM's names.
    frequency_penalty: float | None = None
    presence_penalty: float | None = None
    min_p: float | None = None
    seed: int | None = None
    stop: str | list[str] | None = None
    top_k: int | None = None
