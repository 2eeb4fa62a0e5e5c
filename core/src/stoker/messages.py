"""Chat messages and tools, typed the same for every dialect and every engine."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from typing import Any

import attrs


class Author(enum.StrEnum):
    """Who speaks in a message."""

    SYSTEM = "system"
    DEVELOPER = "developer"
    USER = "user"
    ASSISTANT = "assistant"
    TOOL = "tool"


@attrs.frozen
class TextPart:
    """A piece of text."""

    text: str


@attrs.frozen
class ImagePart:
    """An encoded image (PNG, JPEG, ...), as bytes: nobody behind a dialect fetches addresses."""

    data: bytes = attrs.field(repr=lambda data: f"<{len(data)} bytes>")
    mime_type: str


@attrs.frozen
class AudioPart:
    """An encoded audio clip, as bytes."""

    data: bytes = attrs.field(repr=lambda data: f"<{len(data)} bytes>")
    mime_type: str


Part = TextPart | ImagePart | AudioPart


@attrs.frozen
class ToolCall:
    """A call that the assistant made."""

    id: str
    name: str
    arguments: str
    """JSON text, as the model wrote it."""


@attrs.frozen
class Message:
    """One turn of a conversation."""

    author: Author
    parts: tuple[Part, ...] = ()
    tool_calls: tuple[ToolCall, ...] = ()
    tool_call_id: str | None = None
    """For a tool's result: the call that it answers."""
    reasoning: str | None = None
    name: str | None = None

    @property
    def text(self) -> str:
        """The text parts, joined."""
        return "".join(part.text for part in self.parts if isinstance(part, TextPart))


@attrs.frozen
class Tool:
    """A function that the model may call."""

    name: str
    description: str = ""
    parameters: Mapping[str, Any] = attrs.field(factory=dict, hash=False)
    """JSON Schema of the arguments."""
    strict: bool = False
    """Whether the arguments must follow the schema to the letter."""


class ToolChoiceMode(enum.StrEnum):
    """How far the model is free to call tools."""

    AUTO = "auto"
    NONE = "none"
    REQUIRED = "required"


@attrs.frozen
class ToolChoice:
    """Whether tools are called; with a name, that one must be."""

    mode: ToolChoiceMode = ToolChoiceMode.AUTO
    name: str | None = None

    @property
    def forced(self) -> bool:
        """Whether the answer must be a call."""
        return self.mode is ToolChoiceMode.REQUIRED or self.name is not None
