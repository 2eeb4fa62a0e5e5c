"""Log probabilities of text completions, in the older form of parallel lists."""

from __future__ import annotations

import codecs
from collections.abc import Iterable

import msgspec

from stoker.events import TokenLogprob
from stoker_litestar.dialects.openai.wire.chat_logprobs import finite


class CompletionLogprobs(msgspec.Struct, frozen=True):
    """Tokens with, in the same place of each list, what is known of them."""

    tokens: list[str]
    token_logprobs: list[float]
    top_logprobs: list[dict[str, float]] | None
    text_offset: list[int]


class OffsetCounter:
    """Finds where tokens begin in a choice's text, over pieces of any size."""

    def __init__(self, start: int) -> None:
        """Start counting.

        Args:
            start: How many characters of the choice's text come before the first token.
        """
        self._offset = start
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")

    def logprobs(self, tokens: Iterable[TokenLogprob]) -> CompletionLogprobs:
        """Take the next tokens."""
        taken = tuple(tokens)
        offsets = []
        for token in taken:
            offsets.append(self._offset)
            self._offset += len(self._decoder.decode(token.bytes))
        return CompletionLogprobs(
            tokens=[_token_name(token) for token in taken],
            token_logprobs=[finite(token.logprob) for token in taken],
            top_logprobs=_alternatives(taken),
            text_offset=offsets,
        )


def _alternatives(tokens: tuple[TokenLogprob, ...]) -> list[dict[str, float]] | None:
    if not any(token.top for token in tokens):
        return None
    return [{_token_name(other): finite(other.logprob) for other in token.top} for token in tokens]


def _token_name(token: TokenLogprob) -> str:
    r"""A token's text or, as OpenAI writes what is no whole characters, `bytes:\xe2\x82`.

    Replacement characters would give different tokens one name, and the lists are keyed by it.
    """
    try:
        return token.bytes.decode("utf-8")
    except UnicodeDecodeError:
        return "bytes:" + "".join(f"\\x{byte:02x}" for byte in token.bytes)
