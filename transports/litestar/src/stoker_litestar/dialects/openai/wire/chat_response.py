"""The bodies of answers to chat completions: the whole one, and the chunks of a stream."""

from __future__ import annotations

from typing import Literal

import msgspec
from msgspec import UNSET, UnsetType

from stoker_litestar.dialects.openai.wire.chat_logprobs import ChatLogprobs
from stoker_litestar.dialects.openai.wire.usage import TimingsObject, UsageObject


class FunctionObject(msgspec.Struct, frozen=True):
    """A called function."""

    name: str
    arguments: str


class ToolCallObject(msgspec.Struct, frozen=True):
    """A complete tool call."""

    id: str
    function: FunctionObject
    type: Literal["function"] = "function"


class MessageObject(msgspec.Struct, frozen=True, kw_only=True):
    """A complete answer."""

    role: Literal["assistant"] = "assistant"
    content: str | None
    refusal: None = None
    annotations: list[None] = []
    reasoning_content: str | UnsetType = UNSET
    tool_calls: list[ToolCallObject] | UnsetType = UNSET


class ChoiceObject(msgspec.Struct, frozen=True, kw_only=True):
    """A complete choice."""

    index: int
    message: MessageObject
    logprobs: ChatLogprobs | None
    finish_reason: str


class ChatCompletion(msgspec.Struct, frozen=True, kw_only=True):
    """The whole answer."""

    id: str
    object: Literal["chat.completion"] = "chat.completion"
    created: int
    model: str
    system_fingerprint: str
    choices: list[ChoiceObject]
    usage: UsageObject
    timings: TimingsObject


class FunctionPiece(msgspec.Struct, frozen=True):
    """A piece of a called function."""

    arguments: str
    name: str | UnsetType = UNSET


class ToolCallPiece(msgspec.Struct, frozen=True, kw_only=True):
    """A piece of a tool call; id, type and name come with the first one."""

    index: int
    id: str | UnsetType = UNSET
    type: Literal["function"] | UnsetType = UNSET
    function: FunctionPiece


class Delta(msgspec.Struct, frozen=True, kw_only=True):
    """A piece of a message."""

    role: Literal["assistant"] | UnsetType = UNSET
    content: str | UnsetType = UNSET
    refusal: UnsetType | None = UNSET
    reasoning_content: str | UnsetType = UNSET
    tool_calls: list[ToolCallPiece] | UnsetType = UNSET


class ChunkChoice(msgspec.Struct, frozen=True, kw_only=True):
    """A piece of a choice."""

    index: int
    delta: Delta
    logprobs: ChatLogprobs | None = None
    finish_reason: str | None = None


class ChatChunk(msgspec.Struct, frozen=True, kw_only=True):
    """One chunk of a stream."""

    id: str
    object: Literal["chat.completion.chunk"] = "chat.completion.chunk"
    created: int
    model: str
    system_fingerprint: str
    choices: list[ChunkChoice]
    usage: UsageObject | UnsetType | None = UNSET
    """Only when the request asked for it, and null in all chunks but the last."""
    timings: TimingsObject | UnsetType = UNSET
