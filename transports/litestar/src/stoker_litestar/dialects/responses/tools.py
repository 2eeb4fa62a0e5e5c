"""Tools: the functions that the model may call, and whether it must."""

from __future__ import annotations

from typing import Any

import attrs

from stoker.messages import Tool, ToolChoice, ToolChoiceMode
from stoker_litestar.dialects.json_body import convert_part, field_error
from stoker_litestar.dialects.media import refused_part
from stoker_litestar.dialects.responses.wire.request import (
    AllowedTools,
    FunctionChoice,
    FunctionTool,
)

_MODES = tuple(mode.value for mode in ToolChoiceMode)


@attrs.frozen
class Tools:
    """What the model may call, and how the request said so."""

    wire: tuple[FunctionTool, ...]
    shown: tuple[Tool, ...]
    """Those that may be called."""
    choice: ToolChoice

    @classmethod
    def of(cls, tools: list[dict[str, Any]] | None, choice: Any) -> Tools:
        """Convert tools and choice.

        Raises:
            InvalidRequestError: One is malformed, or the choice names what is not there; names
                its field.
            UnsupportedFeatureError: A tool is none of the client's own.
        """
        wire = tuple(_function(tool, f"tools[{i}]") for i, tool in enumerate(tools or ()))
        shown = tuple(map(_tool, wire))
        allowed = _allowed(choice, shown)
        return cls(wire, allowed, _choice(choice, allowed))


def _function(tool: dict[str, Any], path: str) -> FunctionTool:
    kind = tool.get("type")
    if kind != "function":
        raise refused_part(f"{path}.type", f"{kind!r}: only function tools are known")
    found = convert_part(tool, FunctionTool, path)
    if found.defer_loading:
        raise refused_part(f"{path}.defer_loading", "tools cannot be searched for: send them all")
    if found.allowed_callers not in (None, ["direct"]):
        raise refused_part(f"{path}.allowed_callers", "only the model itself calls functions")
    return found


def _tool(wire: FunctionTool) -> Tool:
    return Tool(
        name=wire.name,
        description=wire.description or "",
        parameters=wire.parameters or {},
        # The API's default, unlike that of chat completions.
        strict=wire.strict is not False and wire.parameters is not None,
    )


def _allowed(choice: Any, tools: tuple[Tool, ...]) -> tuple[Tool, ...]:
    if not isinstance(choice, dict) or choice.get("type") != "allowed_tools":
        return tools
    wire = convert_part(choice, AllowedTools, "tool_choice")
    names = []
    for i, item in enumerate(wire.tools):
        name = item.get("name")
        if item.get("type") != "function" or all(tool.name != name for tool in tools):
            raise field_error(f"tool_choice.tools[{i}]", f"there is no function {name!r}")
        names.append(name)
    return tuple(tool for tool in tools if tool.name in names)


def _choice(choice: Any, tools: tuple[Tool, ...]) -> ToolChoice:
    if choice is None:
        return ToolChoice()
    if isinstance(choice, dict) and choice.get("type") == "allowed_tools":
        choice = choice["mode"]
    if isinstance(choice, str):
        return _mode(choice, tools)
    if not isinstance(choice, dict):
        raise field_error("tool_choice", f"expected {', '.join(_MODES)} or an object")
    if choice.get("type") != "function":
        raise refused_part("tool_choice", "use none, auto, required or a function's name")
    name = convert_part(choice, FunctionChoice, "tool_choice").name
    if all(tool.name != name for tool in tools):
        raise field_error("tool_choice.name", f"there is no function {name!r}")
    return ToolChoice(ToolChoiceMode.REQUIRED, name)


def _mode(choice: str, tools: tuple[Tool, ...]) -> ToolChoice:
    if choice not in _MODES:
        raise field_error("tool_choice", f"expected one of {', '.join(_MODES)}, or an object")
    mode = ToolChoiceMode(choice)
    if mode is ToolChoiceMode.REQUIRED and not tools:
        raise field_error("tool_choice", "it requires a call, but there are no tools")
    return ToolChoice(mode)
