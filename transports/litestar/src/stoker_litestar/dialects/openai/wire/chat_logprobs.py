"""Log probabilities of chat completions."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from stoker.events import TokenLogprob

# JSON has no infinity; this is what OpenAI sends for tokens that are next to impossible.
LOWEST_LOGPROB = -9999.0


class TopLogprob(msgspec.Struct, frozen=True):
    """A token that could have stood in a token's place."""

    token: str
    logprob: float
    bytes: list[int]

    @classmethod
    def from_domain(cls, token: TokenLogprob) -> TopLogprob:
        """Leave out what OpenAI does not report."""
        return cls(token_text(token), finite(token.logprob), list(token.bytes))


class ChatTokenLogprob(msgspec.Struct, frozen=True):
    """A token of the answer."""

    token: str
    logprob: float
    bytes: list[int]
    top_logprobs: list[TopLogprob]

    @classmethod
    def from_domain(cls, token: TokenLogprob) -> ChatTokenLogprob:
        """Take a token with its alternatives."""
        return cls(
            token_text(token),
            finite(token.logprob),
            list(token.bytes),
            [TopLogprob.from_domain(other) for other in token.top],
        )


class ChatLogprobs(msgspec.Struct, frozen=True):
    """The tokens of a choice or of a piece of it."""

    content: list[ChatTokenLogprob]
    refusal: None = None

    @classmethod
    def from_domain(cls, tokens: Iterable[TokenLogprob]) -> ChatLogprobs:
        """Take tokens in order."""
        return cls([ChatTokenLogprob.from_domain(token) for token in tokens])


def token_text(token: TokenLogprob) -> str:
    """A token's text; bytes that are no whole characters show as replacement characters."""
    return token.bytes.decode("utf-8", "replace")


def finite(logprob: float) -> float:
    """A number that JSON can hold."""
    return max(logprob, LOWEST_LOGPROB)
