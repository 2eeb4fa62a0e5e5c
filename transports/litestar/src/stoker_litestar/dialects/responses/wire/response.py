"""Responses and the items of their output."""

from __future__ import annotations

from typing import Any, Literal

import msgspec
from msgspec import UNSET, UnsetType

from stoker.sampling import DEFAULT_SAMPLING
from stoker_litestar.dialects.openai.wire.chat_logprobs import ChatTokenLogprob
from stoker_litestar.dialects.responses.tools import Tools
from stoker_litestar.dialects.responses.wire.request import (
    JsonObjectFormat,
    JsonSchemaFormat,
    ResponseRequest,
    TextFormat,
)
from stoker_litestar.dialects.responses.wire.usage import ResponseUsage


class OutputTextPart(msgspec.Struct, frozen=True, tag_field="type", tag="output_text"):
    """The text of a message."""

    text: str
    annotations: list[None] = []
    logprobs: list[ChatTokenLogprob] = []


class ReasoningTextPart(msgspec.Struct, frozen=True, tag_field="type", tag="reasoning_text"):
    """Reasoning as it is."""

    text: str


class SummaryTextPart(msgspec.Struct, frozen=True, tag_field="type", tag="summary_text"):
    """Reasoning as its own summary."""

    text: str


class MessageOutput(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="message"):
    """A message of the assistant."""

    id: str
    status: str
    role: Literal["assistant"] = "assistant"
    content: list[OutputTextPart]


class ReasoningOutput(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="reasoning"):
    """What the model thought."""

    id: str
    status: str
    summary: list[SummaryTextPart]
    content: list[ReasoningTextPart] | UnsetType = UNSET


class FunctionCallOutputItem(
    msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="function_call"
):
    """A call."""

    id: str
    status: str
    call_id: str
    name: str
    arguments: str


OutputItem = MessageOutput | ReasoningOutput | FunctionCallOutputItem
Part = OutputTextPart | ReasoningTextPart


class ToolObject(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="function"):
    """A function that the model might call."""

    name: str
    description: str | None
    parameters: dict[str, Any] | None
    strict: bool


class SchemaFormatObject(
    msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="json_schema"
):
    """The schema that the text follows."""

    name: str
    description: str | None
    schema: dict[str, Any]
    strict: bool


class TextObject(msgspec.Struct, frozen=True):
    """How the text is made."""

    format: TextFormat | JsonObjectFormat | SchemaFormatObject
    verbosity: Literal["medium"] = "medium"

    @classmethod
    def of(cls, wire: ResponseRequest) -> TextObject:
        """What a request said of it."""
        found = wire.text.format if wire.text is not None else None
        if isinstance(found, JsonSchemaFormat):
            return cls(
                SchemaFormatObject(
                    name=found.name,
                    description=found.description,
                    schema=found.schema,
                    # It is always followed.
                    strict=True,
                )
            )
        return cls(found or TextFormat())


class ReasoningObject(msgspec.Struct, frozen=True):
    """How the model was to think."""

    effort: str | None = None
    summary: str | None = None


class IncompleteDetails(msgspec.Struct, frozen=True):
    """Why a response is incomplete."""

    reason: Literal["max_output_tokens"]


class ErrorObject(msgspec.Struct, frozen=True):
    """Why a response failed."""

    code: str
    message: str


class ResponseObject(msgspec.Struct, frozen=True, kw_only=True):
    """A response. Every field is always there, as strict clients expect."""

    id: str = ""
    object: Literal["response"] = "response"
    created_at: int = 0
    completed_at: int | None = None
    status: str = "in_progress"
    background: Literal[False] = False
    error: ErrorObject | None = None
    incomplete_details: IncompleteDetails | None = None
    instructions: str | None
    max_output_tokens: int | None
    max_tool_calls: int | None
    model: str
    output: list[OutputItem] = []
    parallel_tool_calls: bool
    previous_response_id: str | None
    prompt_cache_key: str | None
    reasoning: ReasoningObject
    safety_identifier: str | None
    service_tier: Literal["default"] = "default"
    store: bool
    temperature: float
    text: TextObject
    tool_choice: Any
    tools: list[ToolObject]
    top_logprobs: int
    top_p: float
    presence_penalty: float
    frequency_penalty: float
    truncation: Literal["disabled"] = "disabled"
    usage: ResponseUsage | None = None
    user: str | None
    metadata: dict[str, str]

    @classmethod
    def echo(cls, wire: ResponseRequest, tools: Tools) -> ResponseObject:
        """What follows from the request alone; what it leaves open has the defaults.

        Args:
            wire: The request.
            tools: Its tools, with their types.
        """
        reasoning = wire.reasoning
        effort = reasoning.effort if reasoning is not None else None
        return cls(
            instructions=wire.instructions,
            max_output_tokens=wire.max_output_tokens,
            max_tool_calls=wire.max_tool_calls,
            model=wire.model,
            parallel_tool_calls=wire.parallel_tool_calls is not False,
            previous_response_id=wire.previous_response_id,
            prompt_cache_key=wire.prompt_cache_key,
            reasoning=ReasoningObject(effort, summary_of(wire)),
            safety_identifier=wire.safety_identifier,
            store=wire.store is not False,
            temperature=_or(wire.temperature, DEFAULT_SAMPLING.temperature),
            text=TextObject.of(wire),
            tool_choice="auto" if wire.tool_choice is None else wire.tool_choice,
            tools=[
                ToolObject(
                    name=tool.name,
                    description=tool.description,
                    parameters=tool.parameters,
                    strict=tool.strict is not False,
                )
                for tool in tools.wire
            ],
            top_logprobs=wire.top_logprobs or 0,
            top_p=_or(wire.top_p, DEFAULT_SAMPLING.top_p),
            presence_penalty=_or(wire.presence_penalty, DEFAULT_SAMPLING.presence_penalty),
            frequency_penalty=_or(wire.frequency_penalty, DEFAULT_SAMPLING.frequency_penalty),
            user=wire.user,
            metadata=wire.metadata or {},
        )


def summary_of(wire: ResponseRequest) -> str | None:
    """The kind of summary that a request asks for; None when it asks for none."""
    if wire.reasoning is None:
        return None
    return wire.reasoning.summary or wire.reasoning.generate_summary


def _or(value: float | None, default: float | None) -> float:
    return value if value is not None else default or 0.0
