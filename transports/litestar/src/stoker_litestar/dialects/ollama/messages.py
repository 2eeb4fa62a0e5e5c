"""Messages and tools: from the JSON form to the domain's."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from stoker.messages import Author, Message, Part, TextPart, Tool, ToolCall
from stoker_litestar.dialects.ollama.image import images_of
from stoker_litestar.dialects.ollama.wire.message import MessageBody, ToolBody


def tools_of(wire: Sequence[ToolBody] | None) -> tuple[Tool, ...]:
    """Convert tools."""
    return tuple(
        Tool(
            name=tool.function.name,
            description=tool.function.description or "",
            parameters=tool.function.parameters or {},
            strict=bool(tool.function.strict),
        )
        for tool in wire or ()
    )


def messages_of(wire: Sequence[MessageBody]) -> tuple[Message, ...]:
    """Convert a conversation.

    Calls and results without ids get some: a result answers the first call before it that has no
    result yet, of its tool when it names one.

    Raises:
        InvalidRequestError: An image is none.
    """
    messages = []
    open_calls: list[ToolCall] = []
    for i, item in enumerate(wire):
        parts = _parts(item, f"messages[{i}]")
        if item.role == "tool":
            call_id = item.tool_call_id or _answered(item.tool_name or item.name, open_calls)
            open_calls = [call for call in open_calls if call.id != call_id]
            messages.append(
                Message(Author.TOOL, parts, tool_call_id=call_id, name=item.tool_name or item.name)
            )
            continue
        calls = tuple(
            ToolCall(
                call.id or f"call_{i}_{j}",
                call.function.name,
                msgspec.json.encode(call.function.arguments).decode(),
            )
            for j, call in enumerate(item.tool_calls or ())
        )
        open_calls = [*calls] or open_calls
        messages.append(
            Message(
                Author(item.role),
                parts,
                tool_calls=calls,
                reasoning=item.thinking or None,
                name=item.name,
            )
        )
    return tuple(messages)


def _parts(item: MessageBody, path: str) -> tuple[Part, ...]:
    text = (TextPart(item.content),) if item.content else ()
    return (*text, *images_of(item.images, f"{path}.images"))


def _answered(tool: str | None, open_calls: Sequence[ToolCall]) -> str | None:
    fitting = [call for call in open_calls if tool in {None, call.name}]
    return next((call.id for call in fitting or open_calls), None)
