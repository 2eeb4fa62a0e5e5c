"""Content blocks of messages, as they come in requests.

The fields are those of `anthropic.types.*_block_param`. A block says by its `type` which it is;
`stoker_litestar.dialects.anthropic.conversation` gives it that type, or refuses it by name.
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec

Block = dict[str, Any]
"""A block as JSON was decoded."""


class CacheControl(msgspec.Struct, frozen=True, tag_field="type", tag="ephemeral"):
    """`cache_control`: a hint for a remote cache; a no-op, as prefixes are found without it."""

    ttl: str | None = None


class TextBlock(
    msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="type", tag="text"
):
    """A piece of text."""

    text: str
    cache_control: CacheControl | None = None
    citations: list[Any] | None = None
    """A no-op: remarks of the server, which the model never saw."""


class Base64Source(
    msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="type", tag="base64"
):
    """An image inside of the request."""

    data: str
    media_type: Literal["image/jpeg", "image/png", "image/gif", "image/webp"]


class UrlSource(
    msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="type", tag="url"
):
    """An image somewhere else; always refused."""

    url: str


class FileSource(
    msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="type", tag="file"
):
    """An image that was uploaded before; always refused."""

    file_id: str


class ImageBlock(
    msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="type", tag="image"
):
    """An image."""

    source: Base64Source | UrlSource | FileSource
    cache_control: CacheControl | None = None
    transformations: Any = None
    """Refused: the model's own image processor decides the resolution."""


class ThinkingBlock(
    msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="type", tag="thinking"
):
    """What the model thought before an answer of the past."""

    thinking: str
    signature: str | None = None
    """A no-op: thinking is signed nowhere here, and believed."""


class RedactedThinkingBlock(
    msgspec.Struct,
    frozen=True,
    forbid_unknown_fields=True,
    tag_field="type",
    tag="redacted_thinking",
):
    """Thinking that only its own provider can read; a no-op."""

    data: str


class ToolUseBlock(
    msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="type", tag="tool_use"
):
    """A call that the assistant made."""

    id: str
    name: str
    input: dict[str, Any]
    cache_control: CacheControl | None = None
    caller: Any = None
    """A no-op: who made the call is always the model."""
    toolset_name: str | None = None
    """A no-op: there are no toolsets, so it is null."""


class ToolResultBlock(
    msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="type", tag="tool_result"
):
    """What a tool answered."""

    tool_use_id: str
    content: str | list[Block] | None = None
    is_error: bool | None = None
    cache_control: CacheControl | None = None
    toolset_name: str | None = None
    """As in `ToolUseBlock`."""


class MessageParam(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One turn."""

    role: Literal["user", "assistant", "system"]
    content: str | list[Block]
