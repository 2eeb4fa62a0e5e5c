"""Messages of a chat completions request.

The fields are those of `openai.types.chat.*_message_param`, and what clients echo from answers.
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec


class CacheBreakpoint(msgspec.Struct, frozen=True):
    """`prompt_cache_breakpoint`: a hint for a remote cache; a no-op, as the cache here is ours."""


class TextContent(
    msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="type", tag="text"
):
    """A part that is text."""

    text: str
    prompt_cache_breakpoint: CacheBreakpoint | None = None


class ImageUrl(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where an image is, which must be right here."""

    url: str
    detail: Literal["auto", "low", "high", "original"] | None = None
    """A no-op: the model's own image processor decides the resolution."""


class ImageContent(
    msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="type", tag="image_url"
):
    """A part that is an image."""

    image_url: ImageUrl
    prompt_cache_breakpoint: CacheBreakpoint | None = None


class InputAudio(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An audio clip in base64."""

    data: str
    format: Literal["wav", "mp3"]


class AudioContent(
    msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="type", tag="input_audio"
):
    """A part that is an audio clip."""

    input_audio: InputAudio
    prompt_cache_breakpoint: CacheBreakpoint | None = None


class FileContent(
    msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="type", tag="file"
):
    """A part that is a file; always refused."""

    file: Any
    prompt_cache_breakpoint: CacheBreakpoint | None = None


class RefusalContent(
    msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="type", tag="refusal"
):
    """A part in which the assistant refused; it is the assistant's text."""

    refusal: str


class _Message(
    msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="role", kw_only=True
):
    """What messages of all roles may have."""

    name: str | None = None
    type: Literal["text", "message"] | None = None
    """A no-op: no field of OpenAI's, but some clients say what a message is. So does
    lm-evaluation-harness up to version 0.4.9."""


class SystemMessage(_Message, frozen=True, tag="system"):
    """What the operator says."""

    content: str | list[TextContent]


class DeveloperMessage(_Message, frozen=True, tag="developer"):
    """What the developer says."""

    content: str | list[TextContent]


class UserMessage(_Message, frozen=True, tag="user"):
    """What the user says."""

    content: str | list[TextContent | ImageContent | AudioContent | FileContent]


class CalledFunction(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A function with the arguments that it was called with."""

    name: str
    arguments: str


class FunctionCall(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A call of a function tool."""

    id: str
    function: CalledFunction
    type: Literal["function"] = "function"
    index: int | None = None
    """Clients that join a stream's pieces leave it in; the order of the list says the same."""


class AssistantMessage(_Message, frozen=True, tag="assistant"):
    """What the model said, as it came in an answer."""

    content: str | list[TextContent | RefusalContent] | None = None
    refusal: str | None = None
    tool_calls: list[FunctionCall] | None = None
    reasoning_content: str | None = None
    """An extension that DeepSeek, llama-server and others share."""
    annotations: list[Any] | None = None
    """A no-op: remarks of the server, which the model never saw."""
    audio: Any = None
    """Refused."""
    function_call: Any = None
    """Refused."""


class ToolMessage(_Message, frozen=True, tag="tool"):
    """What a tool answered."""

    content: str | list[TextContent]
    tool_call_id: str


ChatMessage = SystemMessage | DeveloperMessage | UserMessage | AssistantMessage | ToolMessage
