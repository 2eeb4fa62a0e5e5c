"""Items of a conversation, as they come in requests and are kept.

The fields are those of `openai.types.responses.response_input_item_param`. An item says by its
`type` which it is; `stoker_litestar.dialects.responses.conversation` gives it that type, or refuses
it by name.
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec

Item = dict[str, Any]
"""An item, or a part of one, as JSON was decoded."""
Status = Literal["in_progress", "completed", "incomplete"]


class InputText(
    msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="type", tag="input_text"
):
    """A piece of text."""

    text: str
    prompt_cache_breakpoint: Any = None
    """A no-op: a hint for a remote cache."""


class InputImage(
    msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="type", tag="input_image"
):
    """An image, which must be right here."""

    image_url: str | None = None
    file_id: str | None = None
    """Refused: files are not stored here."""
    detail: Literal["auto", "low", "high", "original"] | None = None
    """A no-op: the model's own image processor decides the resolution."""
    prompt_cache_breakpoint: Any = None


class OutputText(
    msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="type", tag="output_text"
):
    """A text of the assistant."""

    text: str
    annotations: list[Any] | None = None
    """A no-op: remarks of the server, which the model never saw."""
    logprobs: list[Any] | None = None
    """A no-op: so are these."""


class Refusal(
    msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="type", tag="refusal"
):
    """A text in which the assistant refused."""

    refusal: str


class MessageItem(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A message; its type may be left out."""

    role: Literal["user", "assistant", "system", "developer"]
    content: str | list[Item]
    type: Literal["message"] = "message"
    id: str | None = None
    status: Status | None = None
    phase: Literal["commentary", "final_answer"] | None = None
    """A no-op: chat templates have no place for it."""


class FunctionCall(
    msgspec.Struct,
    frozen=True,
    forbid_unknown_fields=True,
    tag_field="type",
    tag="function_call",
    rename={"is_async": "async"},
):
    """A call that the assistant made."""

    call_id: str
    name: str
    arguments: str
    id: str | None = None
    status: Status | None = None
    caller: Any = None
    """A no-op: the model itself."""
    namespace: str | None = None
    """A no-op: there are no namespaces, so it is null."""
    is_async: bool | None = None
    """A no-op: results are given whenever the client has them."""


class FunctionCallOutput(
    msgspec.Struct,
    frozen=True,
    forbid_unknown_fields=True,
    tag_field="type",
    tag="function_call_output",
):
    """What a function gave back."""

    call_id: str
    output: str | list[Item]
    id: str | None = None
    status: Status | None = None
    name: str | None = None
    caller: Any = None
    namespace: str | None = None


class SummaryText(
    msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="type", tag="summary_text"
):
    """A part of a summary of reasoning."""

    text: str


class ReasoningText(
    msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="type", tag="reasoning_text"
):
    """A part of reasoning."""

    text: str


class Reasoning(
    msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="type", tag="reasoning"
):
    """What the model thought before what follows."""

    id: str | None = None
    summary: list[SummaryText] = []
    content: list[ReasoningText] | None = None
    encrypted_content: str | None = None
    """A no-op: only its own provider can read it."""
    status: Status | None = None


class ItemReference(
    msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="type", tag="item_reference"
):
    """An item of the conversation that the request goes on from, by its id."""

    id: str
