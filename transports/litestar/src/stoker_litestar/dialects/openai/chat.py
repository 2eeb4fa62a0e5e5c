"""Chat completions: from a request's bytes to the internal request."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

import msgspec

from stoker.dialect import Call
from stoker.errors import UnsupportedFeatureError
from stoker.messages import Tool, ToolChoice, ToolChoiceMode
from stoker.request import ChatPrompt, Constraint, ConstraintKind, GenerateRequest, Reasoning
from stoker_litestar.dialects.json_body import decode_body, field_error
from stoker_litestar.dialects.openai.chat_fields import CHAT_FIELDS
from stoker_litestar.dialects.openai.chat_messages import messages_of
from stoker_litestar.dialects.openai.chat_response import ChatEncoder, ChatStreamEncoder
from stoker_litestar.dialects.openai.wire.chat_request import (
    AllowedToolsChoice,
    ChatRequest,
    CustomTool,
    FunctionTool,
    JsonObjectResponse,
    JsonSchemaResponse,
    NamedToolChoice,
    ReasoningObject,
)
from stoker_litestar.dialects.openai.wire.generation import encode_text
from stoker_litestar.dialects.openai.wire.tokenizing import TemplateBody, TokenizeBody

_DECODER = msgspec.json.Decoder(ChatRequest)


def decode_chat(body: bytes) -> Call:
    """Decode the body of `POST /v1/chat/completions`.

    Raises:
        InvalidRequestError: A field is unknown, malformed, out of range or refused; names it.
    """
    wire = chat_request(body)
    request = GenerateRequest(
        model=wire.model,
        prompt=chat_prompt(wire),
        sampling=wire.sampling(logprobs=_logprobs(wire)),
        max_tokens=_max_tokens(wire),
        stop=wire.stop_strings(),
        n=1 if wire.n is None else wire.n,
        constraint=_constraint(wire),
        ignore_end=bool(wire.ignore_eos),
    )
    include_usage = wire.include_usage()
    if wire.stream:
        encoder: Any = functools.partial(
            ChatStreamEncoder, model=wire.model, n=request.n, include_usage=include_usage
        )
    else:
        encoder = functools.partial(ChatEncoder, model=wire.model, n=request.n)
    return Call(request, stream=bool(wire.stream), encoder=encoder)


def chat_request(body: bytes) -> ChatRequest:
    """Read a body; no refused field is set.

    Raises:
        InvalidRequestError: A field is unknown, malformed or refused; names it.
    """
    wire = decode_body(_DECODER, body)
    CHAT_FIELDS.check(wire)
    return wire


def chat_prompt(wire: ChatRequest) -> ChatPrompt:
    """The conversation of a request.

    Raises:
        InvalidRequestError: A message or a tool is malformed; names it.
    """
    tools, choice = _callable(tools_of(wire.tools), wire)
    continues = continues_answer(wire)
    return ChatPrompt(
        messages=messages_of(wire.messages),
        tools=tools,
        tool_choice=choice,
        parallel_tool_calls=wire.parallel_tool_calls is not False,
        add_generation_prompt=wire.add_generation_prompt is not False and not continues,
        continue_final_message=continues,
        template_arguments=wire.chat_template_kwargs or {},
        reasoning=_reasoning(wire),
    )


def continues_answer(wire: ChatRequest | TokenizeBody | TemplateBody) -> bool:
    """Whether the last message is to be gone on with.

    Raises:
        InvalidRequestError: A new message is to be begun as well.
    """
    if wire.continue_final_message and wire.add_generation_prompt:
        raise field_error(
            "continue_final_message", "it clashes with add_generation_prompt: set one of them"
        )
    return bool(wire.continue_final_message)


def _reasoning(wire: ChatRequest) -> Reasoning:
    """What the two ways to say it say together; each thing may be said in one of them."""
    other = wire.reasoning or ReasoningObject()
    if wire.reasoning_effort is not None and other.effort is not None:
        raise field_error("reasoning.effort", "it clashes with reasoning_effort: set one of them")
    if wire.reasoning_budget_tokens is not None and other.max_tokens is not None:
        raise field_error(
            "reasoning.max_tokens", "it clashes with reasoning_budget_tokens: set one of them"
        )
    return Reasoning(
        effort=other.effort if wire.reasoning_effort is None else wire.reasoning_effort,
        budget_tokens=(
            other.max_tokens
            if wire.reasoning_budget_tokens is None
            else wire.reasoning_budget_tokens
        ),
    )


def tools_of(wire: Sequence[FunctionTool | CustomTool] | None) -> tuple[Tool, ...]:
    """Convert tools.

    Raises:
        UnsupportedFeatureError: One is no function.
    """
    return tuple(_tool(tool, f"tools[{i}]") for i, tool in enumerate(wire or ()))


def _tool(wire: FunctionTool | CustomTool, path: str) -> Tool:
    if isinstance(wire, CustomTool):
        raise UnsupportedFeatureError(
            f"{path}.custom: only function tools are known.", param=f"{path}.custom"
        )
    function = wire.function
    return Tool(
        name=function.name,
        description=function.description or "",
        parameters=function.parameters or {},
        strict=bool(function.strict),
    )


def _callable(tools: tuple[Tool, ...], wire: ChatRequest) -> tuple[tuple[Tool, ...], ToolChoice]:
    """The tools that may be called, and how far the model is free to."""
    choice = wire.tool_choice
    if not isinstance(choice, AllowedToolsChoice):
        return tools, _tool_choice(wire, tools)
    allowed = choice.allowed_tools
    names = [reference.function.name for reference in allowed.tools]
    known = {tool.name for tool in tools}
    for i, name in enumerate(names):
        if name not in known:
            path = f"tool_choice.allowed_tools.tools[{i}].function.name"
            raise field_error(path, f"there is no tool {name!r}")
    kept = tuple(tool for tool in tools if tool.name in names)
    return kept, ToolChoice(ToolChoiceMode(allowed.mode))


def _tool_choice(wire: ChatRequest, tools: tuple[Tool, ...]) -> ToolChoice:
    choice = wire.tool_choice
    if choice is None:
        return ToolChoice()
    if isinstance(choice, str):
        mode = ToolChoiceMode(choice)
        if mode is ToolChoiceMode.REQUIRED and not tools:
            raise field_error("tool_choice", "it requires a call, but there are no tools")
        return ToolChoice(mode)
    if isinstance(choice, NamedToolChoice):
        name = choice.function.name
        if all(tool.name != name for tool in tools):
            raise field_error("tool_choice.function.name", f"there is no tool {name!r}")
        return ToolChoice(ToolChoiceMode.REQUIRED, name)
    raise UnsupportedFeatureError(
        "tool_choice: custom tools are not known: use a function's name.", param="tool_choice"
    )


def _logprobs(wire: ChatRequest) -> int | None:
    if wire.logprobs:
        return wire.top_logprobs or 0
    if wire.top_logprobs is not None:
        raise field_error("top_logprobs", "it needs logprobs set to true")
    return None


def _max_tokens(wire: ChatRequest) -> int | None:
    new, old = wire.max_completion_tokens, wire.max_tokens
    if new is not None and old is not None and new != old:
        raise field_error("max_tokens", "it contradicts max_completion_tokens: leave it out")
    return old if new is None else new


def _constraint(wire: ChatRequest) -> Constraint | None:
    extension = wire.constraint()
    param = "response_format"
    match wire.response_format:
        case JsonObjectResponse():
            constraint = Constraint(ConstraintKind.JSON_OBJECT, param=param)
        case JsonSchemaResponse(json_schema=json_schema):
            source = encode_text(json_schema.schema)
            constraint = Constraint(ConstraintKind.JSON_SCHEMA, source, param)
        case _:
            return extension
    if extension is not None:
        raise field_error(param, "it clashes with grammar or structured_outputs")
    return constraint
