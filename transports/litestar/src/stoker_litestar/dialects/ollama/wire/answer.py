"""Answers of chat and generate, and the pieces of them."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec
from msgspec import UNSET, UnsetType

from stoker.events import Finished, FinishReason, TokenLogprob
from stoker_litestar.dialects.ollama.duration import nanoseconds
from stoker_litestar.dialects.ollama.wire.message import MessageObject

_DONE_REASONS = {
    FinishReason.STOP: "stop",
    FinishReason.LENGTH: "length",
    FinishReason.TOOL_CALLS: "stop",
}
# JSON has no infinity.
_LOWEST_LOGPROB = -9999.0


class TokenObject(msgspec.Struct, frozen=True):
    """A token with its probability."""

    token: str
    logprob: float
    bytes: list[int]
    top_logprobs: list[TokenObject] | UnsetType = UNSET

    @classmethod
    def from_domain(cls, token: TokenLogprob) -> TokenObject:
        """Take a token with its alternatives."""
        return cls(
            token=token.bytes.decode("utf-8", "replace"),
            logprob=max(token.logprob, _LOWEST_LOGPROB),
            bytes=list(token.bytes),
            top_logprobs=[cls.from_domain(other) for other in token.top] or UNSET,
        )


def token_objects(tokens: Iterable[TokenLogprob]) -> list[TokenObject] | UnsetType:
    """Tokens in order; nothing at all when there are none."""
    return [TokenObject.from_domain(token) for token in tokens] or UNSET


class Piece(msgspec.Struct, frozen=True, kw_only=True):
    """What all lines have, and the last one has more of."""

    model: str
    created_at: str
    done: bool = False
    done_reason: str | UnsetType = UNSET
    logprobs: list[TokenObject] | UnsetType = UNSET
    total_duration: int | UnsetType = UNSET
    load_duration: int | UnsetType = UNSET
    prompt_eval_count: int | UnsetType = UNSET
    prompt_eval_duration: int | UnsetType = UNSET
    eval_count: int | UnsetType = UNSET
    eval_duration: int | UnsetType = UNSET


class ChatPiece(Piece, frozen=True, kw_only=True):
    """A line of a chat."""

    message: MessageObject


class GeneratePiece(Piece, frozen=True, kw_only=True):
    """A line of a continued text."""

    response: str
    thinking: str | UnsetType = UNSET


class Ending(msgspec.Struct, frozen=True, kw_only=True):
    """The fields that say how it ended and what it took, in nanoseconds."""

    done: bool = True
    done_reason: str
    total_duration: int
    load_duration: int
    prompt_eval_count: int
    prompt_eval_duration: int
    eval_count: int
    eval_duration: int

    @classmethod
    def from_domain(cls, event: Finished, reason: FinishReason) -> Ending:
        """Take the counts and times of an answer."""
        usage, timings = event.usage, event.timings
        total_s = timings.load_s + timings.queue_s + timings.prefill_s + timings.decode_s
        return cls(
            done_reason=_DONE_REASONS[reason],
            total_duration=nanoseconds(total_s),
            load_duration=nanoseconds(timings.load_s),
            prompt_eval_count=usage.prompt_tokens,
            prompt_eval_duration=nanoseconds(timings.prefill_s),
            eval_count=usage.completion_tokens,
            eval_duration=nanoseconds(timings.decode_s),
        )
