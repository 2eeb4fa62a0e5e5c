"""Blocks: an answer's deltas, sorted into texts, reasoning and calls, one after the other."""

from __future__ import annotations

import enum

import attrs

from stoker.errors import StokerError
from stoker.events import Event, ReasoningDelta, TextDelta, TokenLogprob, ToolCallDelta


class BlockKind(enum.Enum):
    """What a block is made of."""

    TEXT = "text"
    REASONING = "reasoning"
    CALL = "call"


@attrs.define
class AnswerBlock:
    """A block that is being put together."""

    kind: BlockKind
    index: int
    pieces: list[str] = attrs.field(factory=list)
    logprobs: list[TokenLogprob] = attrs.field(factory=list)
    call_index: int | None = None
    id: str = ""
    name: str = ""

    @property
    def text(self) -> str:
        """What was put together; of a call its arguments."""
        return "".join(self.pieces)


@attrs.frozen
class Piece:
    """More of a block."""

    block: AnswerBlock
    text: str
    begins: bool
    """Whether the block begins with it; the one before it is complete then."""
    logprobs: tuple[TokenLogprob, ...] = ()


class AnswerBlocks:
    """The blocks of one choice, in the order in which they began."""

    def __init__(self) -> None:
        self.all: list[AnswerBlock] = []

    def take(self, event: Event) -> Piece | None:
        """Put a delta into its block; None when there is nothing to say of the event.

        Raises:
            StokerError: A call goes on after another block has begun, which APIs of blocks cannot
                say.
        """
        match event:
            case TextDelta(text=text, logprobs=logprobs) if text or logprobs:
                return self._piece(BlockKind.TEXT, text, logprobs)
            case ReasoningDelta(text=text) if text:
                return self._piece(BlockKind.REASONING, text)
            case ToolCallDelta():
                return self._call(event)
            case _:
                return None

    def _piece(self, kind: BlockKind, text: str, logprobs: tuple[TokenLogprob, ...] = ()) -> Piece:
        begins = not self.all or self.all[-1].kind is not kind
        if begins:
            self.all.append(AnswerBlock(kind, len(self.all)))
        block = self.all[-1]
        block.pieces.append(text)
        block.logprobs.extend(logprobs)
        return Piece(block, text, begins, logprobs)

    def _call(self, event: ToolCallDelta) -> Piece:
        begins = not self.all or self.all[-1].call_index != event.call_index
        if begins:
            if any(block.call_index == event.call_index for block in self.all):
                raise StokerError("The model's calls are mixed up: one goes on after another.")
            self.all.append(
                AnswerBlock(
                    BlockKind.CALL,
                    len(self.all),
                    call_index=event.call_index,
                    id=event.id or "",
                    name=event.name or "",
                )
            )
        self.all[-1].pieces.append(event.arguments)
        return Piece(self.all[-1], event.arguments, begins)
