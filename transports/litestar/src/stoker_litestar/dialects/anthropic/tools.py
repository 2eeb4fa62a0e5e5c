"""Tools: what the model may call, and whether it must."""

from __future__ import annotations

import json
from typing import Any

from stoker.errors import UnsupportedFeatureError
from stoker.messages import Tool, ToolChoice, ToolChoiceMode
from stoker_litestar.dialects.anthropic.wire import request as wire
from stoker_litestar.dialects.json_body import convert_part, field_error
from stoker_litestar.dialects.media import refused_part

_CUSTOM = (None, "custom")


def tools_of(wire_tools: list[dict[str, Any]] | None) -> tuple[Tool, ...]:
    """Convert tools.

    Raises:
        InvalidRequestError: One is malformed; names its field.
        UnsupportedFeatureError: One is a tool of Anthropic's own, or asks for what is not done.
    """
    return tuple(_tool(tool, f"tools[{i}]") for i, tool in enumerate(wire_tools or ()))


def _tool(tool: dict[str, Any], path: str) -> Tool:
    kind = tool.get("type")
    if kind not in _CUSTOM:
        raise refused_part(
            f"{path}.type", f"{kind!r}: only tools with a name and an input_schema are known"
        )
    found = convert_part(tool, wire.ToolDefinition, path)
    if found.defer_loading:
        raise refused_part(f"{path}.defer_loading", "tools cannot be searched for: send them all")
    if found.allowed_callers not in (None, ["direct"]):
        raise refused_part(f"{path}.allowed_callers", "only the model itself calls tools")
    return Tool(
        name=found.name,
        description=_description(found),
        parameters=found.input_schema,
        strict=bool(found.strict),
    )


def _description(tool: wire.ToolDefinition) -> str:
    """The description; examples go with it, because chat templates have no place for them."""
    examples = [json.dumps(example, ensure_ascii=False) for example in tool.input_examples or ()]
    if not examples:
        return tool.description or ""
    return "\n".join(filter(None, (tool.description, "Examples of its input:", *examples)))


def tool_choice_of(
    choice: wire.AutoChoice | wire.AnyChoice | wire.ToolChoice | wire.NoneChoice | None,
    tools: tuple[Tool, ...],
) -> ToolChoice:
    """Convert the choice.

    Raises:
        InvalidRequestError: It needs tools, or a tool, that the request does not have.
    """
    match choice:
        case wire.AnyChoice():
            if not tools:
                raise field_error("tool_choice", "it requires a call, but there are no tools")
            return ToolChoice(ToolChoiceMode.REQUIRED)
        case wire.ToolChoice(name=name):
            if all(tool.name != name for tool in tools):
                raise field_error("tool_choice.name", f"there is no tool {name!r}")
            return ToolChoice(ToolChoiceMode.REQUIRED, name)
        case wire.NoneChoice():
            return ToolChoice(ToolChoiceMode.NONE)
        case _:
            return ToolChoice()


def is_parallel(
    choice: wire.AutoChoice | wire.AnyChoice | wire.ToolChoice | wire.NoneChoice | None,
) -> bool:
    """Whether the model may call several tools at once."""
    return not getattr(choice, "disable_parallel_tool_use", None)


def check_context_management(management: wire.ContextManagement | None) -> None:
    """Let edits through that ask for what the chat template does by itself.

    Raises:
        UnsupportedFeatureError: There is another one.
    """
    edits = management.edits if management is not None else None
    for i, edit in enumerate(edits or ()):
        kind = edit.get("type")
        if not str(kind).startswith("clear_thinking"):
            path = f"context_management.edits[{i}]"
            raise UnsupportedFeatureError(
                f"{path}: {kind!r}: conversations are never rewritten.", param=path
            )
