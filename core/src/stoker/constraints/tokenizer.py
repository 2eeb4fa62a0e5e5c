"""The tokenizer of llguidance, built from a vocabulary."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from stoker.engine import Vocabulary

if TYPE_CHECKING:
    from llguidance import LLTokenizer

# Marks a token as one that no text matches (toktrie's SPECIAL_TOKEN_MARKER).
_CONTROL_MARK = b"\xff"


class _TokenSource:
    """What llguidance reads a vocabulary from (its `TokenizerWrapper`)."""

    is_tokenizer_wrapper = True
    bos_token_id = None
    special_token_ids: Sequence[int] = ()

    def __init__(self, vocabulary: Vocabulary) -> None:
        self.tokens = list(vocabulary.token_bytes)
        for token, text in vocabulary.control_tokens.items():
            self.tokens[token] = _CONTROL_MARK + text.encode()
        self.eos_token_id = min(vocabulary.end_tokens)
        self.built: LLTokenizer | None = None

    def __call__(self, text: str) -> list[int]:
        """Tokenise, if llguidance should want it: it does not for grammars without forcing."""
        return [] if self.built is None else self.built.greedy_tokenize(text)


def build_tokenizer(vocabulary: Vocabulary) -> LLTokenizer:
    """Build the tokenizer. Takes a second for 100 000 tokens, and holds the interpreter lock."""
    from llguidance import LLTokenizer

    source = _TokenSource(vocabulary)
    source.built = LLTokenizer(
        source,  # type: ignore[arg-type]  # it asks for the attributes, not for the class
        n_vocab=len(vocabulary.token_bytes),
        eos_token=sorted(vocabulary.end_tokens),
    )
    # It keeps the source, for its tokeniser only.
    source.tokens.clear()
    return source.built
