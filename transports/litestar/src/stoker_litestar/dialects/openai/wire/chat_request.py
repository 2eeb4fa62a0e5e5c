"""The body of `POST /v1/chat/completions`.

The fields are those of `openai.types.chat.completion_create_params`; what becomes of each stands
in `chat_fields`.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec

from stoker.request import Effort
from stoker.sampling import MAX_LOGPROBS
from stoker_litestar.dialects.openai.wire.chat_message import ChatMessage
from stoker_litestar.dialects.openai.wire.generation import GenerationFields

Positive = Annotated[int, msgspec.Meta(ge=1)]


class FunctionDefinition(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a function tool is."""

    name: str
    description: str | None = None
    parameters: dict[str, Any] | None = None
    strict: bool | None = None


class FunctionTool(
    msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="type", tag="function"
):
    """A function that the model may call."""

    function: FunctionDefinition


class CustomTool(
    msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="type", tag="custom"
):
    """A tool that takes free text; always refused."""

    custom: Any


class FunctionName(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A function by its name."""

    name: str


class NamedToolChoice(
    msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="type", tag="function"
):
    """The one tool that must be called."""

    function: FunctionName


class NamedCustomChoice(
    msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="type", tag="custom"
):
    """A custom tool that must be called; always refused."""

    custom: Any


class AllowedTool(
    msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="type", tag="function"
):
    """A tool that may be called."""

    function: FunctionName


class AllowedTools(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Some of the tools, and whether one of them must be called."""

    mode: Literal["auto", "required"]
    tools: Annotated[list[AllowedTool], msgspec.Meta(min_length=1)]


class AllowedToolsChoice(
    msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="type", tag="allowed_tools"
):
    """A choice among some of the tools."""

    allowed_tools: AllowedTools


class JsonSchemaFormat(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A JSON schema that the answer follows."""

    name: str
    schema: dict[str, Any]
    description: str | None = None
    """For the model's reader; a no-op."""
    strict: bool | None = None
    """The schema is always followed, also when this is not set."""


class TextResponse(
    msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="type", tag="text"
):
    """The answer is free text."""


class JsonObjectResponse(
    msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="type", tag="json_object"
):
    """The answer is some JSON object."""


class JsonSchemaResponse(
    msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="type", tag="json_schema"
):
    """The answer follows a schema."""

    json_schema: JsonSchemaFormat


class ReasoningObject(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`reasoning`, as OpenRouter and Ollama have it in chats."""

    effort: Effort | None = None
    max_tokens: Annotated[int, msgspec.Meta(ge=0)] | None = None
    summary: str | None = None
    """A no-op: the reasoning is told whole."""


class ChatRequest(GenerationFields, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Everything that a chat completions request may say."""

    messages: Annotated[list[ChatMessage], msgspec.Meta(min_length=1)]
    audio: Any = None
    function_call: Any = None
    functions: Any = None
    logprobs: bool | None = None
    max_completion_tokens: Positive | None = None
    max_tokens: Positive | None = None
    metadata: dict[str, Any] | None = None
    modalities: list[str] | None = None
    moderation: Any = None
    parallel_tool_calls: bool | None = None
    prediction: dict[str, Any] | None = None
    prompt_cache_key: str | None = None
    prompt_cache_options: dict[str, Any] | None = None
    prompt_cache_retention: str | None = None
    reasoning_effort: Effort | None = None
    response_format: TextResponse | JsonObjectResponse | JsonSchemaResponse | None = None
    safety_identifier: str | None = None
    service_tier: str | None = None
    store: bool | None = None
    tool_choice: (
        Literal["none", "auto", "required"]
        | NamedToolChoice
        | NamedCustomChoice
        | AllowedToolsChoice
        | None
    ) = None
    tools: list[FunctionTool | CustomTool] | None = None
    top_logprobs: Annotated[int, msgspec.Meta(ge=0, le=MAX_LOGPROBS)] | None = None
    verbosity: str | None = None
    web_search_options: Any = None

    # Extensions, by vLLM's names.
    add_generation_prompt: bool | None = None
    continue_final_message: bool | None = None
    chat_template_kwargs: dict[str, Any] | None = None

    # An extension, by llama-server's name.
    reasoning_budget_tokens: Annotated[int, msgspec.Meta(ge=0)] | None = None

    # An extension, by OpenRouter's name.
    reasoning: ReasoningObject | None = None
