"""Conversations: from items to the domain's messages, with errors that name the place."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import attrs
import msgspec

from stoker.messages import Author, ImagePart, Message, Part, TextPart, ToolCall
from stoker_litestar.dialects.json_body import convert_part, field_error
from stoker_litestar.dialects.media import image_of_url, refused_part
from stoker_litestar.dialects.responses.wire.items import (
    FunctionCall,
    FunctionCallOutput,
    InputImage,
    InputText,
    Item,
    ItemReference,
    MessageItem,
    OutputText,
    Reasoning,
    Refusal,
)

_KINDS: dict[str, type[msgspec.Struct]] = {
    "message": MessageItem,
    "function_call": FunctionCall,
    "function_call_output": FunctionCallOutput,
    "reasoning": Reasoning,
    "item_reference": ItemReference,
}
_HOSTED = (
    "file_search_call",
    "computer_call",
    "computer_call_output",
    "web_search_call",
    "tool_search_call",
    "tool_search_output",
    "additional_tools",
    "configuration_update",
    "compaction",
    "compaction_trigger",
    "image_generation_call",
    "code_interpreter_call",
    "local_shell_call",
    "local_shell_call_output",
    "shell_call",
    "shell_call_output",
    "apply_patch_call",
    "apply_patch_call_output",
    "mcp_list_tools",
    "mcp_approval_request",
    "mcp_approval_response",
    "mcp_call",
    "custom_tool_call",
    "custom_tool_call_output",
    "program",
    "program_output",
)
"""Kinds of items that the API knows and that are not taken: they belong to hosted tools."""

_PARTS: dict[str, type[msgspec.Struct]] = {
    "input_text": InputText,
    "input_image": InputImage,
    "output_text": OutputText,
    "refusal": Refusal,
}
_FILES = ("input_file", "input_audio", "input_video", "computer_screenshot")

_AUTHORS = {
    "user": Author.USER,
    "assistant": Author.ASSISTANT,
    "system": Author.SYSTEM,
    "developer": Author.DEVELOPER,
}


@attrs.frozen
class Conversation:
    """What a request says, and what it goes on from."""

    before: tuple[Item, ...]
    """The items of the past, as they were kept."""
    new: tuple[Item, ...]

    @classmethod
    def of(cls, wire: str | list[Item] | None, before: Iterable[Item] = ()) -> Conversation:
        """Put a request's input and the past together; a text is a message of the user.

        References to items of the past are replaced by these.

        Raises:
            InvalidRequestError: There is no input, or it refers to what is not there.
        """
        past = tuple(before)
        if wire is None:
            if not past:
                raise field_error("input", "this field is required")
            return cls(past, ())
        if isinstance(wire, str):
            return cls(past, ({"type": "message", "role": "user", "content": wire},))
        known = {item["id"]: item for item in past if "id" in item}
        new = [_resolved(item, known, f"input[{i}]") for i, item in enumerate(wire)]
        return cls(past, tuple(item for item in new if item is not None))

    @property
    def items(self) -> tuple[Item, ...]:
        """All of them."""
        return (*self.before, *self.new)

    def messages(self, instructions: str | None) -> tuple[Message, ...]:
        """Convert it.

        Raises:
            InvalidRequestError: An item is malformed, or answers a call that is not there; names
                its field, like `input[3].content[0].text`.
            UnsupportedFeatureError: An item, or a part of one, is of a kind that is not taken.
        """
        collected = _Messages()
        if instructions:
            collected.add(Message(Author.SYSTEM, (TextPart(instructions),)))
        for root, items in (("previous_response_id", self.before), ("input", self.new)):
            for i, item in enumerate(items):
                collected.take(item, f"{root}[{i}]")
        messages = tuple(collected.all())
        if not messages:
            raise field_error("input", "it is empty")
        return messages


def _resolved(item: Item, known: dict[str, Item], path: str) -> Item | None:
    """An item, or what it refers to; None for what is part of the past already."""
    if item.get("type") != "item_reference" and set(item) != {"id"}:
        return item
    reference = convert_part({"type": "item_reference"} | item, ItemReference, path)
    if reference.id not in known:
        raise field_error(
            f"{path}.id", "no item of this id is part of the response that the request goes on from"
        )
    return None


class _Messages:
    """Messages that are being put together: what the assistant did in one turn is one message."""

    def __init__(self) -> None:
        self._done: list[Message] = []
        self._turn: Message | None = None
        self._names: dict[str, str] = {}

    def all(self) -> list[Message]:
        """Everything; nothing may be added after it."""
        self._close()
        return self._done

    def add(self, message: Message) -> None:
        """Add a message of somebody else than the assistant."""
        self._close()
        self._done.append(message)

    def _close(self) -> None:
        if self._turn is not None:
            self._done.append(self._turn)
            self._turn = None

    def take(self, item: Item, path: str) -> None:
        """Add an item."""
        found = _typed(item, path)
        match found:
            case MessageItem(role="assistant"):
                turn = self._open(begins=bool(self._turn and self._turn.tool_calls))
                parts = tuple(_parts(found.content, f"{path}.content"))
                self._turn = attrs.evolve(turn, parts=(*turn.parts, *parts))
            case MessageItem():
                parts = tuple(_parts(found.content, f"{path}.content"))
                self.add(Message(_AUTHORS[found.role], parts))
            case Reasoning():
                turn = self._open(
                    begins=bool(self._turn and (self._turn.parts or self._turn.tool_calls))
                )
                thoughts = (turn.reasoning or "", *_thoughts(found))
                self._turn = attrs.evolve(turn, reasoning="\n".join(filter(None, thoughts)) or None)
            case FunctionCall():
                turn = self._open()
                call = ToolCall(found.call_id, found.name, found.arguments)
                self._names[call.id] = call.name
                self._turn = attrs.evolve(turn, tool_calls=(*turn.tool_calls, call))
            case FunctionCallOutput():
                self.add(self._output(found, path))

    def _open(self, *, begins: bool = False) -> Message:
        """The assistant's turn that goes on; a new one if one begins."""
        if begins:
            self._close()
        if self._turn is None:
            self._turn = Message(Author.ASSISTANT)
        return self._turn

    def _output(self, found: FunctionCallOutput, path: str) -> Message:
        if found.call_id not in self._names:
            raise field_error(
                f"{path}.call_id", f"no function_call {found.call_id!r} stands before it"
            )
        return Message(
            Author.TOOL,
            tuple(_parts(found.output, f"{path}.output")),
            tool_call_id=found.call_id,
            name=self._names[found.call_id],
        )


def _thoughts(item: Reasoning) -> Sequence[str]:
    """The reasoning itself where it is there, else its summary."""
    return [part.text for part in item.content or item.summary]


def _typed(item: Item, path: str) -> msgspec.Struct:
    kind = item.get("type", "message")
    if kind in _HOSTED:
        raise refused_part(f"{path}.type", f"{kind}: there are no hosted tools, only functions")
    if not isinstance(kind, str) or kind not in _KINDS:
        known = ", ".join(_KINDS)
        raise field_error(f"{path}.type", f"there are no items {kind!r}: expected one of {known}")
    return convert_part(item, _KINDS[kind], path)


def _parts(content: str | list[Item], path: str) -> Iterator[Part]:
    if isinstance(content, str):
        if content:
            yield TextPart(content)
        return
    for i, part in enumerate(content):
        yield _part(part, f"{path}[{i}]")


def _part(part: Item, path: str) -> TextPart | ImagePart:
    kind = part.get("type")
    if kind in _FILES:
        raise refused_part(f"{path}.type", f"{kind}: files are not read: send their text")
    if not isinstance(kind, str) or kind not in _PARTS:
        known = ", ".join(_PARTS)
        raise field_error(f"{path}.type", f"there are no parts {kind!r}: expected one of {known}")
    found: Any = convert_part(part, _PARTS[kind], path)
    match found:
        case InputText(text=text) | OutputText(text=text) | Refusal(refusal=text):
            return TextPart(text)
        case InputImage(image_url=str(url), file_id=None):
            return image_of_url(url, f"{path}.image_url")
        case InputImage(file_id=str()):
            raise refused_part(
                f"{path}.file_id", "files are not stored here: send the image as a data: URL"
            )
    raise field_error(f"{path}.image_url", "this field is required")
