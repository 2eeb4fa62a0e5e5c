"""Content blocks: an answer's deltas, sorted into texts, thinking and calls."""

from __future__ import annotations

from typing import Literal

import attrs

from stoker.errors import StokerError
from stoker.events import Event, ReasoningDelta, TextDelta, ToolCallDelta


@attrs.define
class AnswerBlock:
    """A block that is being put together."""

    kind: Literal["text", "thinking", "tool_use"]
    index: int
    pieces: list[str] = attrs.field(factory=list)
    call_index: int | None = None
    id: str = ""
    name: str = ""

    @property
    def text(self) -> str:
        """What was put together."""
        return "".join(self.pieces)


@attrs.frozen
class Piece:
    """More of a block."""

    block: AnswerBlock
    text: str
    begins: bool
    """Whether the block begins with it; the one before it is complete then."""


class AnswerBlocks:
    """The blocks of one answer, in the order in which they began."""

    def __init__(self) -> None:
        self.all: list[AnswerBlock] = []

    def take(self, event: Event) -> Piece | None:
        """Put a delta into its block; None when there is nothing to say of the event.

        Raises:
            StokerError: A call goes on after another block has begun, which the API cannot say.
        """
        match event:
            case TextDelta(text=text) if text:
                return self._piece("text", text)
            case ReasoningDelta(text=text) if text:
                return self._piece("thinking", text)
            case ToolCallDelta():
                return self._call(event)
            case _:
                return None

    def _piece(self, kind: Literal["text", "thinking"], text: str) -> Piece:
        begins = not self.all or self.all[-1].kind != kind
        if begins:
            self.all.append(AnswerBlock(kind, len(self.all)))
        self.all[-1].pieces.append(text)
        return Piece(self.all[-1], text, begins)

    def _call(self, event: ToolCallDelta) -> Piece:
        begins = not self.all or self.all[-1].call_index != event.call_index
        if begins:
            if any(block.call_index == event.call_index for block in self.all):
                raise StokerError("The model's calls are mixed up: one went on after another began.")
            self.all.append(
                AnswerBlock(
                    "tool_use",
                    len(self.all),
                    call_index=event.call_index,
                    id=event.id or "",
                    name=event.name or "",
                )
            )
        self.all[-1].pieces.append(event.arguments)
        return Piece(self.all[-1], event.arguments, begins)
