"""Messages and tools on the wire."""

from __future__ import annotations

from typing import Any

import msgspec

from stoker import messages
from stoker.messages import Author


class TextPartWire(msgspec.Struct, frozen=True, omit_defaults=True, tag="text"):
    """See `stoker.messages.TextPart`."""

    text: str


class ImagePartWire(msgspec.Struct, frozen=True, omit_defaults=True, tag="image"):
    """See `stoker.messages.ImagePart`."""

    data: bytes
    mime_type: str


class AudioPartWire(msgspec.Struct, frozen=True, omit_defaults=True, tag="audio"):
    """See `stoker.messages.AudioPart`."""

    data: bytes
    mime_type: str


PartWire = TextPartWire | ImagePartWire | AudioPartWire


def _part_to_wire(part: messages.Part) -> PartWire:
    match part:
        case messages.TextPart(text):
            return TextPartWire(text)
        case messages.ImagePart(data, mime_type):
            return ImagePartWire(data, mime_type)
        case messages.AudioPart(data, mime_type):
            return AudioPartWire(data, mime_type)


def _part_to_domain(wire: PartWire) -> messages.Part:
    match wire:
        case TextPartWire():
            return messages.TextPart(wire.text)
        case ImagePartWire():
            return messages.ImagePart(wire.data, wire.mime_type)
        case AudioPartWire():
            return messages.AudioPart(wire.data, wire.mime_type)


class ToolCallWire(msgspec.Struct, frozen=True, omit_defaults=True):
    """See `stoker.messages.ToolCall`."""

    id: str
    name: str
    arguments: str


class MessageWire(msgspec.Struct, frozen=True, omit_defaults=True):
    """See `stoker.messages.Message`."""

    author: Author
    parts: tuple[PartWire, ...] = ()
    tool_calls: tuple[ToolCallWire, ...] = ()
    tool_call_id: str | None = None
    reasoning: str | None = None
    name: str | None = None

    @classmethod
    def from_domain(cls, message: messages.Message) -> MessageWire:
        """Convert for sending."""
        return cls(
            author=message.author,
            parts=tuple(map(_part_to_wire, message.parts)),
            tool_calls=tuple(
                ToolCallWire(call.id, call.name, call.arguments) for call in message.tool_calls
            ),
            tool_call_id=message.tool_call_id,
            reasoning=message.reasoning,
            name=message.name,
        )

    def to_domain(self) -> messages.Message:
        """Convert what came."""
        return messages.Message(
            author=self.author,
            parts=tuple(map(_part_to_domain, self.parts)),
            tool_calls=tuple(
                messages.ToolCall(call.id, call.name, call.arguments) for call in self.tool_calls
            ),
            tool_call_id=self.tool_call_id,
            reasoning=self.reasoning,
            name=self.name,
        )


class ToolWire(msgspec.Struct, frozen=True, omit_defaults=True):
    """See `stoker.messages.Tool`."""

    name: str
    description: str = ""
    parameters: dict[str, Any] = {}
    strict: bool = False

    @classmethod
    def from_domain(cls, tool: messages.Tool) -> ToolWire:
        """Convert for sending."""
        return cls(tool.name, tool.description, dict(tool.parameters), tool.strict)

    def to_domain(self) -> messages.Tool:
        """Convert what came."""
        return messages.Tool(self.name, self.description, self.parameters, self.strict)
