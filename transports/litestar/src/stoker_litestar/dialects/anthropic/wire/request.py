"""The bodies of `POST /v1/messages` and of its count of tokens.

The fields are those of `anthropic.types.message_create_params`, and of its beta; what becomes of
each stands in `message_fields`.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec

from stoker_litestar.dialects.anthropic.wire.content import Block, CacheControl, MessageParam

Positive = Annotated[int, msgspec.Meta(ge=1)]


class ToolDefinition(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A tool that the client runs."""

    name: str
    input_schema: dict[str, Any]
    type: Literal["custom"] | None = None
    description: str | None = None
    strict: bool | None = None
    input_examples: list[dict[str, Any]] | None = None
    cache_control: CacheControl | None = None
    eager_input_streaming: bool | None = None
    """A no-op: arguments always stream as they are written."""
    allowed_callers: list[str] | None = None
    """Refused when it names another one than `direct`."""
    defer_loading: bool | None = None
    """Refused when true."""


class AutoChoice(
    msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="type", tag="auto"
):
    """The model decides."""

    disable_parallel_tool_use: bool | None = None


class AnyChoice(
    msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="type", tag="any"
):
    """Some tool must be called."""

    disable_parallel_tool_use: bool | None = None


class ToolChoice(
    msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="type", tag="tool"
):
    """This tool must be called."""

    name: str
    disable_parallel_tool_use: bool | None = None


class NoneChoice(
    msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="type", tag="none"
):
    """No tool may be called."""


Display = Literal["summarized", "omitted"]


class ThinkingEnabled(
    msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="type", tag="enabled"
):
    """The model thinks, for so many tokens at most."""

    budget_tokens: Positive
    display: Display | None = None


class ThinkingAdaptive(
    msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="type", tag="adaptive"
):
    """The model thinks as long as it likes."""

    display: Display | None = None


class ThinkingDisabled(
    msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="type", tag="disabled"
):
    """The model does not think."""


class ThinkingBetweenTools(
    msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="type", tag="between_tools"
):
    """The model thinks only between tools; always refused."""


class JsonOutput(
    msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="type", tag="json_schema"
):
    """The answer follows a schema."""

    schema: dict[str, Any]


class OutputConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`output_config`."""

    effort: Literal["low", "medium", "high", "xhigh", "max"] | None = None
    format: JsonOutput | None = None
    task_budget: Any = None
    """Of the beta; refused."""


class ContextManagement(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`context_management`, of the beta."""

    edits: list[dict[str, Any]] | None = None


class PromptFields(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What answering a conversation and counting its tokens have in common."""

    model: str
    messages: Annotated[list[MessageParam], msgspec.Meta(min_length=1)]
    system: str | list[Block] | None = None
    tools: list[dict[str, Any]] | None = None
    tool_choice: AutoChoice | AnyChoice | ToolChoice | NoneChoice | None = None
    thinking: (
        ThinkingEnabled | ThinkingAdaptive | ThinkingDisabled | ThinkingBetweenTools | None
    ) = None
    output_config: OutputConfig | None = None
    cache_control: CacheControl | None = None
    speed: str | None = None

    # Of the beta.
    billing_policy: Any = None
    compaction: Any = None
    context_management: ContextManagement | None = None
    mcp_servers: Any = None
    output_format: JsonOutput | None = None


class MessagesRequest(PromptFields, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Everything that a request for a message may say."""

    max_tokens: int
    stop_sequences: list[str] | None = None
    stream: bool | None = None
    temperature: float | None = None
    top_k: int | None = None
    top_p: float | None = None
    container: Any = None
    diagnostics: Any = None
    inference_geo: str | None = None
    metadata: dict[str, Any] | None = None
    service_tier: Literal["auto", "standard_only"] | None = None

    # Of the beta.
    fallback_credit_token: Any = None
    fallbacks: Any = None
    thread: Any = None
