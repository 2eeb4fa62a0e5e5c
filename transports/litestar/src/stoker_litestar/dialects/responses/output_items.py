"""Items of an output: what became of an answer's blocks, and the events inside of each."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import attrs

from stoker_litestar.dialects.answer_blocks import AnswerBlock, BlockKind, Piece
from stoker_litestar.dialects.openai.wire.chat_logprobs import ChatTokenLogprob
from stoker_litestar.dialects.responses.wire import events
from stoker_litestar.dialects.responses.wire.response import (
    FunctionCallOutputItem,
    MessageOutput,
    OutputItem,
    OutputTextPart,
    ReasoningOutput,
    ReasoningTextPart,
    SummaryTextPart,
)

IN_PROGRESS = "in_progress"
_PREFIXES = {BlockKind.TEXT: "msg", BlockKind.REASONING: "rs", BlockKind.CALL: "fc"}


@attrs.define
class Sequence:
    """Numbers the events of a stream."""

    _last: int = -1

    def next(self) -> int:
        """The next number."""
        self._last += 1
        return self._last


@attrs.frozen
class OutputItems:
    """Makes items and events of one response's blocks."""

    context_id: str
    summarises: bool
    """Whether reasoning stands as its own summary."""
    numbers: Sequence = attrs.field(factory=Sequence)

    def item(self, block: AnswerBlock, status: str) -> OutputItem:
        """An item with what its block holds by now."""
        text, item_id = block.text, self._id(block)
        match block.kind:
            case BlockKind.TEXT:
                content = [] if status == IN_PROGRESS else [_text_part(block)]
                return MessageOutput(id=item_id, status=status, content=content)
            case BlockKind.REASONING if self.summarises:
                summary = [] if status == IN_PROGRESS else [SummaryTextPart(text)]
                return ReasoningOutput(id=item_id, status=status, summary=summary)
            case BlockKind.REASONING:
                thoughts = [] if status == IN_PROGRESS else [ReasoningTextPart(text)]
                return ReasoningOutput(id=item_id, status=status, summary=[], content=thoughts)
            case BlockKind.CALL:
                return FunctionCallOutputItem(
                    id=item_id,
                    status=status,
                    call_id=block.id,
                    name=block.name,
                    arguments="" if status == IN_PROGRESS else text,
                )

    def began(self, block: AnswerBlock) -> Iterator[events.StreamEvent]:
        """The events of an item's begin."""
        yield events.ItemAdded(
            sequence_number=self.numbers.next(),
            output_index=block.index,
            item=self.item(block, IN_PROGRESS),
        )
        where = self._where(block)
        match block.kind:
            case BlockKind.TEXT:
                yield events.PartAdded(**where(), part=OutputTextPart(""))
            case BlockKind.REASONING if self.summarises:
                yield events.SummaryAdded(**where(), part=SummaryTextPart(""))
            case BlockKind.REASONING:
                yield events.PartAdded(**where(), part=ReasoningTextPart(""))
            case _:
                pass

    def more(self, piece: Piece) -> events.StreamEvent:
        """The event of more of an item."""
        where = self._where(piece.block)
        match piece.block.kind:
            case BlockKind.TEXT:
                logprobs = [ChatTokenLogprob.from_domain(token) for token in piece.logprobs]
                return events.TextDeltaEvent(**where(), delta=piece.text, logprobs=logprobs)
            case BlockKind.REASONING if self.summarises:
                return events.SummaryDelta(**where(), delta=piece.text)
            case BlockKind.REASONING:
                return events.ReasoningDeltaEvent(**where(), delta=piece.text)
            case BlockKind.CALL:
                return events.ArgumentsDelta(**where(), delta=piece.text)

    def ended(self, block: AnswerBlock, status: str) -> Iterator[events.StreamEvent]:
        """The events of an item's end."""
        where, text = self._where(block), block.text
        match block.kind:
            case BlockKind.TEXT:
                part = _text_part(block)
                yield events.TextDone(**where(), text=text, logprobs=part.logprobs)
                yield events.PartDone(**where(), part=part)
            case BlockKind.REASONING if self.summarises:
                yield events.SummaryTextDone(**where(), text=text)
                yield events.SummaryDone(**where(), part=SummaryTextPart(text))
            case BlockKind.REASONING:
                yield events.ReasoningDone(**where(), text=text)
                yield events.PartDone(**where(), part=ReasoningTextPart(text))
            case BlockKind.CALL:
                yield events.ArgumentsDone(**where(), arguments=text)
        yield events.ItemDone(
            sequence_number=self.numbers.next(),
            output_index=block.index,
            item=self.item(block, status),
        )

    def _id(self, block: AnswerBlock) -> str:
        return f"{_PREFIXES[block.kind]}_{self.context_id}_{block.index}"

    def _where(self, block: AnswerBlock) -> _Where:
        return _Where(self._id(block), block.index, self.numbers)


@attrs.frozen
class _Where:
    """What all events inside of an item begin with."""

    item_id: str
    output_index: int
    numbers: Sequence

    def __call__(self) -> dict[str, Any]:
        return {
            "item_id": self.item_id,
            "output_index": self.output_index,
            "sequence_number": self.numbers.next(),
        }


def _text_part(block: AnswerBlock) -> OutputTextPart:
    logprobs = [ChatTokenLogprob.from_domain(token) for token in block.logprobs]
    return OutputTextPart(block.text, logprobs=logprobs)
