"""What `stoker run --json` prints."""

from __future__ import annotations

from typing import Self

import msgspec

from stoker.cli.answer import Answer
from stoker.events import Timings, Usage


class UsageDocument(msgspec.Struct, frozen=True):
    """See `stoker.events.Usage`."""

    prompt_tokens: int
    completion_tokens: int
    cached_tokens: int
    reasoning_tokens: int

    @classmethod
    def from_domain(cls, usage: Usage) -> Self:
        """Convert for printing."""
        return cls(**{name: getattr(usage, name) for name in cls.__struct_fields__})


class TimingsDocument(msgspec.Struct, frozen=True):
    """Where the time went, in seconds."""

    first_token_s: float | None
    """From asking to the first text, loading the model included; None without any text."""
    prefill_s: float
    decode_s: float
    draft_tokens: int
    accepted_draft_tokens: int
    preemptions: int

    @classmethod
    def from_domain(cls, timings: Timings, first_token_s: float | None) -> Self:
        """Convert for printing."""
        return cls(
            first_token_s,
            timings.prefill_s,
            timings.decode_s,
            timings.draft_tokens,
            timings.accepted_draft_tokens,
            timings.preemptions,
        )


class AnswerDocument(msgspec.Struct, frozen=True):
    """What `stoker run --json` prints."""

    model: str
    text: str
    reasoning: str
    finish_reason: str | None
    stop: str | None
    usage: UsageDocument
    timings: TimingsDocument

    @classmethod
    def from_answer(cls, model: str, answer: Answer) -> Self:
        """Convert for printing."""
        return cls(
            model=model,
            text=answer.text,
            reasoning=answer.reasoning,
            finish_reason=str(answer.end.reason) if answer.end else None,
            stop=answer.end.stop if answer.end else None,
            usage=UsageDocument.from_domain(answer.usage),
            timings=TimingsDocument.from_domain(answer.timings, answer.first_token_s),
        )
