"""Conversations: from content blocks to the domain's messages, with errors that name the place."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any

import attrs
import msgspec

from stoker.messages import Author, ImagePart, Message, Part, TextPart, ToolCall
from stoker_litestar.dialects.anthropic.wire.content import (
    Base64Source,
    Block,
    ImageBlock,
    MessageParam,
    RedactedThinkingBlock,
    TextBlock,
    ThinkingBlock,
    ToolResultBlock,
    ToolUseBlock,
    UrlSource,
)
from stoker_litestar.dialects.json_body import convert_part, field_error
from stoker_litestar.dialects.media import decode_base64, refused_part

_SERVER = "it was written by a tool of another server"
_REFUSED = {
    "document": "documents are not read: send their text",
    "search_result": "search results are not read: send their text",
    "container_upload": "nothing runs code here",
    "tool_reference": "tools cannot be searched for: send them all",
    "browser_state": "there is no browser",
    "server_tool_use": _SERVER,
    "web_search_tool_result": _SERVER,
    "web_fetch_tool_result": _SERVER,
    "code_execution_tool_result": _SERVER,
    "bash_code_execution_tool_result": _SERVER,
    "text_editor_code_execution_tool_result": _SERVER,
    "tool_search_tool_result": _SERVER,
    "mcp_tool_use": _SERVER,
    "mcp_tool_result": _SERVER,
}
"""Kinds of blocks that the API knows and that are not taken, with the reason."""

_SYSTEM: dict[str, type[msgspec.Struct]] = {"text": TextBlock}
_USER: dict[str, type[msgspec.Struct]] = {
    "text": TextBlock,
    "image": ImageBlock,
    "tool_result": ToolResultBlock,
}
_ASSISTANT: dict[str, type[msgspec.Struct]] = {
    "text": TextBlock,
    "thinking": ThinkingBlock,
    "redacted_thinking": RedactedThinkingBlock,
    "tool_use": ToolUseBlock,
}
_RESULT: dict[str, type[msgspec.Struct]] = {"text": TextBlock, "image": ImageBlock}
_BLOCKS = {"user": _USER, "assistant": _ASSISTANT, "system": _SYSTEM}


def messages_of(
    system: str | list[Block] | None, wire: Sequence[MessageParam]
) -> tuple[Message, ...]:
    """Convert a conversation.

    Turns of one author that follow each other become one, as the API says.

    Raises:
        InvalidRequestError: A block is malformed, or stands where it cannot; names its field, like
            `messages[3].content[0].text`.
        UnsupportedFeatureError: A block is of a kind that is not taken.
    """
    messages: list[Message] = []
    if system:
        messages.append(Message(Author.SYSTEM, _texts(system, "system")))
    names: dict[str, str] = {}
    for i, turn in enumerate(wire):
        for message in _turn(turn, f"messages[{i}].content", names):
            names.update({call.id: call.name for call in message.tool_calls})
            _join(messages, message)
    return tuple(messages)


def _join(messages: list[Message], message: Message) -> None:
    """Append a message, or add it to the last one where both are of one author."""
    last = messages[-1] if messages else None
    joinable = (Author.USER, Author.ASSISTANT, Author.SYSTEM)
    if last is None or last.author is not message.author or last.author not in joinable:
        messages.append(message)
        return
    reasoning = "\n".join(filter(None, (last.reasoning, message.reasoning)))
    messages[-1] = attrs.evolve(
        last,
        parts=_joined((*last.parts, *message.parts)),
        tool_calls=(*last.tool_calls, *message.tool_calls),
        reasoning=reasoning or None,
    )


def _turn(wire: MessageParam, path: str, names: dict[str, str]) -> Iterator[Message]:
    if wire.role == "assistant":
        yield _assistant(_typed(wire.content, _ASSISTANT, path))
    elif wire.role == "system":
        yield Message(Author.SYSTEM, _texts(wire.content, path))
    else:
        yield from _user(_typed(wire.content, _USER, path), path, names)


def _user(blocks: Sequence[Any], path: str, names: dict[str, str]) -> Iterator[Message]:
    """One message for each tool's result, and one for what stands between results."""
    said: list[Part] = []
    for i, block in enumerate(blocks):
        if isinstance(block, ToolResultBlock):
            if said:
                yield Message(Author.USER, _joined(said))
                said = []
            yield _tool_result(block, f"{path}[{i}]", names)
        else:
            said.append(_part(block, f"{path}[{i}]"))
    if said or not blocks:
        yield Message(Author.USER, _joined(said))


def _tool_result(wire: ToolResultBlock, path: str, names: dict[str, str]) -> Message:
    if wire.tool_use_id not in names:
        raise field_error(
            f"{path}.tool_use_id", f"no tool_use {wire.tool_use_id!r} stands before it"
        )
    inner = f"{path}.content"
    blocks = _typed(wire.content or "", _RESULT, inner)
    parts = [_part(block, f"{inner}[{i}]") for i, block in enumerate(blocks)]
    if wire.is_error:
        # No chat template has a place for it, and the model must know.
        parts.insert(0, TextPart("Error:"))
    return Message(
        Author.TOOL,
        _joined(parts),
        tool_call_id=wire.tool_use_id,
        name=names[wire.tool_use_id],
    )


def _assistant(blocks: Sequence[Any]) -> Message:
    texts = [TextPart(block.text) for block in blocks if isinstance(block, TextBlock)]
    thoughts = [block.thinking for block in blocks if isinstance(block, ThinkingBlock)]
    calls = tuple(
        ToolCall(block.id, block.name, json.dumps(block.input, ensure_ascii=False))
        for block in blocks
        if isinstance(block, ToolUseBlock)
    )
    return Message(
        Author.ASSISTANT,
        _joined(texts),
        tool_calls=calls,
        reasoning="\n".join(filter(None, thoughts)) or None,
    )


def _texts(content: str | list[Block], path: str) -> tuple[Part, ...]:
    return _joined([TextPart(block.text) for block in _typed(content, _SYSTEM, path)])


def _typed(
    content: str | list[Block], kinds: dict[str, type[msgspec.Struct]], path: str
) -> list[Any]:
    """The blocks of a content with their types; a text is one block."""
    if isinstance(content, str):
        return [TextBlock(content)] if content else []
    return [_block(block, kinds, f"{path}[{i}]") for i, block in enumerate(content)]


def _block(block: Block, kinds: dict[str, type[msgspec.Struct]], path: str) -> msgspec.Struct:
    kind = block.get("type")
    if not isinstance(kind, str):
        raise field_error(f"{path}.type", "this field is required, and is a string")
    if kind in kinds:
        return convert_part(block, kinds[kind], path)
    if kind in _REFUSED:
        raise refused_part(f"{path}.type", f"{kind}: {_REFUSED[kind]}")
    known = ", ".join(kinds)
    raise field_error(f"{path}.type", f"{kind!r} does not stand here: expected one of {known}")


def _part(block: Any, path: str) -> Part:
    if isinstance(block, TextBlock):
        return TextPart(block.text)
    if block.transformations is not None:
        raise refused_part(
            f"{path}.transformations", "the model's own image processor decides the resolution"
        )
    source = block.source
    if isinstance(source, Base64Source):
        return ImagePart(decode_base64(source.data, f"{path}.source.data"), source.media_type)
    if isinstance(source, UrlSource):
        raise refused_part(f"{path}.source", "images are not fetched: send them as base64")
    raise refused_part(f"{path}.source", "files are not stored here: send the image as base64")


def _joined(parts: Sequence[Part]) -> tuple[Part, ...]:
    """The parts, with texts that follow each other on lines of their own in one."""
    joined: list[Part] = []
    for part in parts:
        last = joined[-1] if joined else None
        if isinstance(part, TextPart) and isinstance(last, TextPart):
            joined[-1] = TextPart(f"{last.text}\n{part.text}")
        elif not (isinstance(part, TextPart) and not part.text):
            joined.append(part)
    return tuple(joined)
