"""The bodies of answers: the whole message, and the events of a stream."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from stoker_litestar.dialects.anthropic.wire.error import ErrorBody
from stoker_litestar.dialects.anthropic.wire.usage import DeltaUsage, UsageObject

UNSIGNED = "unsigned"
"""The signature of all thinking: clients send back only what has one, and nobody checks it."""


class DirectCaller(msgspec.Struct, frozen=True, tag_field="type", tag="direct"):
    """The model itself."""


class TextObject(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="text"):
    """A text."""

    text: str
    citations: None = None


class ThinkingObject(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="thinking"):
    """What the model thought."""

    thinking: str
    signature: str


class ToolUseObject(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="tool_use"):
    """A call."""

    id: str
    name: str
    input: dict[str, Any]
    caller: DirectCaller = DirectCaller()


BlockObject = TextObject | ThinkingObject | ToolUseObject


class MessageObject(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="message"):
    """A message."""

    id: str
    role: Literal["assistant"] = "assistant"
    model: str
    content: list[BlockObject]
    stop_reason: str | None
    stop_sequence: str | None
    stop_details: None = None
    container: None = None
    usage: UsageObject


class MessageStart(msgspec.Struct, frozen=True, tag_field="type", tag="message_start"):
    """The first event of a stream."""

    message: MessageObject


class BlockStart(msgspec.Struct, frozen=True, tag_field="type", tag="content_block_start"):
    """A block begins."""

    index: int
    content_block: BlockObject


class TextPiece(msgspec.Struct, frozen=True, tag_field="type", tag="text_delta"):
    """More of a text."""

    text: str


class ThinkingPiece(msgspec.Struct, frozen=True, tag_field="type", tag="thinking_delta"):
    """More of the thinking."""

    thinking: str


class SignaturePiece(msgspec.Struct, frozen=True, tag_field="type", tag="signature_delta"):
    """The end of the thinking."""

    signature: str


class InputPiece(msgspec.Struct, frozen=True, tag_field="type", tag="input_json_delta"):
    """More of a call's input."""

    partial_json: str


class BlockDelta(msgspec.Struct, frozen=True, tag_field="type", tag="content_block_delta"):
    """More of a block."""

    index: int
    delta: TextPiece | ThinkingPiece | SignaturePiece | InputPiece


class BlockStop(msgspec.Struct, frozen=True, tag_field="type", tag="content_block_stop"):
    """A block is complete."""

    index: int


class StopDelta(msgspec.Struct, frozen=True, kw_only=True):
    """Why the message ended."""

    stop_reason: str
    stop_sequence: str | None
    stop_details: None = None
    container: None = None


class Ping(msgspec.Struct, frozen=True, tag_field="type", tag="ping"):
    """The request still waits, or its prompt is still read."""


class MessageStop(msgspec.Struct, frozen=True, tag_field="type", tag="message_stop"):
    """The last event of a stream."""


class MessageDelta(msgspec.Struct, frozen=True, tag_field="type", tag="message_delta"):
    """The last event but one of a stream."""

    delta: StopDelta
    usage: DeltaUsage


StreamEvent = (
    Ping
    | MessageStart
    | BlockStart
    | BlockDelta
    | BlockStop
    | MessageDelta
    | MessageStop
    | ErrorBody
)
"""Everything that a stream is made of."""
