"""The events of a stream. Each has its place in the order of all."""

from __future__ import annotations

import msgspec

from stoker_litestar.dialects.openai.wire.chat_logprobs import ChatTokenLogprob
from stoker_litestar.dialects.responses.wire.response import (
    OutputItem,
    Part,
    ResponseObject,
    SummaryTextPart,
)


class StreamEvent(msgspec.Struct, frozen=True, kw_only=True, tag_field="type"):
    """What all have in common."""

    sequence_number: int


class Created(StreamEvent, frozen=True, kw_only=True, tag="response.created"):
    """The response was begun."""

    response: ResponseObject


class InProgress(StreamEvent, frozen=True, kw_only=True, tag="response.in_progress"):
    """The response is being made."""

    response: ResponseObject


class Completed(StreamEvent, frozen=True, kw_only=True, tag="response.completed"):
    """The response is complete."""

    response: ResponseObject


class Incomplete(StreamEvent, frozen=True, kw_only=True, tag="response.incomplete"):
    """The response was cut off."""

    response: ResponseObject


class FailedEvent(StreamEvent, frozen=True, kw_only=True, tag="response.failed"):
    """The response failed."""

    response: ResponseObject


class ItemAdded(StreamEvent, frozen=True, kw_only=True, tag="response.output_item.added"):
    """An item begins."""

    output_index: int
    item: OutputItem


class ItemDone(StreamEvent, frozen=True, kw_only=True, tag="response.output_item.done"):
    """An item is complete."""

    output_index: int
    item: OutputItem


class _InItem(StreamEvent, frozen=True, kw_only=True):
    """What happens inside of an item."""

    item_id: str
    output_index: int


class PartAdded(_InItem, frozen=True, kw_only=True, tag="response.content_part.added"):
    """A part of an item begins."""

    content_index: int = 0
    part: Part


class PartDone(_InItem, frozen=True, kw_only=True, tag="response.content_part.done"):
    """A part of an item is complete."""

    content_index: int = 0
    part: Part


class TextDeltaEvent(_InItem, frozen=True, kw_only=True, tag="response.output_text.delta"):
    """More of a text."""

    content_index: int = 0
    delta: str
    logprobs: list[ChatTokenLogprob] = []


class TextDone(_InItem, frozen=True, kw_only=True, tag="response.output_text.done"):
    """A text is complete."""

    content_index: int = 0
    text: str
    logprobs: list[ChatTokenLogprob] = []


class ReasoningDeltaEvent(_InItem, frozen=True, kw_only=True, tag="response.reasoning_text.delta"):
    """More of the reasoning."""

    content_index: int = 0
    delta: str


class ReasoningDone(_InItem, frozen=True, kw_only=True, tag="response.reasoning_text.done"):
    """The reasoning is complete."""

    content_index: int = 0
    text: str


class SummaryAdded(_InItem, frozen=True, kw_only=True, tag="response.reasoning_summary_part.added"):
    """A summary begins."""

    summary_index: int = 0
    part: SummaryTextPart


class SummaryDelta(_InItem, frozen=True, kw_only=True, tag="response.reasoning_summary_text.delta"):
    """More of a summary."""

    summary_index: int = 0
    delta: str


class SummaryTextDone(
    _InItem, frozen=True, kw_only=True, tag="response.reasoning_summary_text.done"
):
    """The text of a summary is complete."""

    summary_index: int = 0
    text: str


class SummaryDone(_InItem, frozen=True, kw_only=True, tag="response.reasoning_summary_part.done"):
    """A summary is complete."""

    summary_index: int = 0
    part: SummaryTextPart


class ArgumentsDelta(
    _InItem, frozen=True, kw_only=True, tag="response.function_call_arguments.delta"
):
    """More of a call's arguments."""

    delta: str


class ArgumentsDone(
    _InItem, frozen=True, kw_only=True, tag="response.function_call_arguments.done"
):
    """A call's arguments are complete."""

    arguments: str
