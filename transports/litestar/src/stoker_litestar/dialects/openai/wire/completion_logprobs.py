"""Log probabilities of text completions, in the older form of parallel lists."""

from __future__ import annotations

import codecs
from collections.abc import Iterable, Sequence

import msgspec

from stoker.events import TokenLogprob
from stoker_litestar.dialects.openai.wire.chat_logprobs import finite


class CompletionLogprobs(msgspec.Struct, frozen=True):
    """Tokens with, in the same place of each list, what is known of them."""

    tokens: list[str]
    token_logprobs: list[float | None]
    """Nothing comes before the first token of an echoed prompt, so it has none."""
    top_logprobs: list[dict[str, float] | None] | None
    text_offset: list[int]


class OffsetCounter:
    """Finds where tokens begin in a choice's text, over pieces of any size."""

    def __init__(self) -> None:
        self._offset = 0
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")

    def skip(self, text: str) -> None:
        """Take text whose tokens are not told."""
        self._offset += len(text)

    def logprobs(
        self, tokens: Iterable[TokenLogprob], *, prompt: Sequence[TokenLogprob] = ()
    ) -> CompletionLogprobs:
        """Take the next tokens.

        Args:
            tokens: Of the answer.
            prompt: Of the whole prompt; comes first.
        """
        if prompt:
            echoed = self.logprobs(prompt)
            answer = self.logprobs(tokens)
            tops = None
            if echoed.top_logprobs is not None or answer.top_logprobs is not None:
                tops = [
                    None,
                    *(echoed.top_logprobs or [None] * len(prompt))[1:],
                    *(answer.top_logprobs or [None] * len(answer.tokens)),
                ]
            return CompletionLogprobs(
                tokens=echoed.tokens + answer.tokens,
                token_logprobs=[None, *echoed.token_logprobs[1:], *answer.token_logprobs],
                top_logprobs=tops,
                text_offset=echoed.text_offset + answer.text_offset,
            )
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


def _alternatives(tokens: tuple[TokenLogprob, ...]) -> list[dict[str, float] | None] | None:
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
