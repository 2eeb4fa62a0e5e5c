"""Messages and tools, in requests and in answers."""

from __future__ import annotations

from typing import Any, Literal

import msgspec
from msgspec import UNSET, UnsetType


class CalledFunction(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A function with the arguments that it was called with."""

    name: str
    arguments: dict[str, Any]
    index: int | None = None
    """Clients may send it back; the order of the list says the same."""
    description: str | None = None
    """Likewise, from old servers; a no-op."""


class ToolCallBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A call that the assistant made."""

    function: CalledFunction
    id: str | None = None
    type: str | None = None


class MessageBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One turn of a conversation."""

    role: Literal["system", "user", "assistant", "tool", "developer"]
    content: str | None = None
    thinking: str | None = None
    images: list[str] | None = None
    """In base64."""
    tool_calls: list[ToolCallBody] | None = None
    tool_name: str | None = None
    """Of a tool's result: the tool."""
    tool_call_id: str | None = None
    """Of a tool's result: the call that it answers; without it the order tells."""
    name: str | None = None


class FunctionBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a function tool is."""

    name: str
    description: str | None = None
    parameters: dict[str, Any] | None = None
    strict: bool | None = None


class ToolBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A tool that the model may call."""

    function: FunctionBody
    type: Literal["function"] | None = None


class FunctionObject(msgspec.Struct, frozen=True):
    """A call's function, in an answer."""

    name: str
    arguments: Any
    index: int


class ToolCallObject(msgspec.Struct, frozen=True):
    """A call, in an answer."""

    id: str
    function: FunctionObject


class MessageObject(msgspec.Struct, frozen=True):
    """The assistant's message, or a piece of it."""

    role: Literal["assistant"]
    content: str
    thinking: str | UnsetType = UNSET
    tool_calls: list[ToolCallObject] | UnsetType = UNSET
