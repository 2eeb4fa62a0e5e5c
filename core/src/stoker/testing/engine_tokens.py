"""Tokens of engines: what the tokenizer and the vocabulary promise."""

from __future__ import annotations

import pytest

from stoker.engine import Engine
from stoker.testing.engine_jobs import EngineTests


class EngineTokens(EngineTests):
    """What the tokenizer and the vocabulary promise."""

    def test_info_describes_the_model(self, engine: Engine) -> None:
        """`info` tells how long a sequence may be and how many tokens there are.

        To mend it: read both numbers from the model's own files, and return the same
        `EngineInfo` always.
        """
        info = engine.info

        assert info.context_length > 0
        assert info.vocabulary_size > 0

    def test_no_text_gives_no_tokens(self, engine: Engine) -> None:
        """The empty text has no tokens but special ones.

        To mend it: add special tokens only with `add_special`.
        """
        assert [] == engine.encode("", add_special=False, parse_special=False)

    def test_token_bytes_are_the_text(self, engine: Engine) -> None:
        """The bytes of a text's tokens are the text, character for character.

        Some tokenizers put a space in front of every text; one there is let through.

        To mend it: return a token's raw bytes, not text: half a character must stay half a
        character.
        """
        text = f"{self.text} Füße, 東京 and 🙂."
        tokens = engine.encode(text, add_special=False, parse_special=False)
        found = b"".join(engine.token_bytes(token) for token in tokens)

        assert text.encode() == found.removeprefix(b" ")

    def test_an_unknown_token_has_no_bytes(self, engine: Engine) -> None:
        """`token_bytes` checks its argument: C libraries often do not.

        To mend it: compare the token with the size of the vocabulary before the library
        sees it.
        """
        for token in (-1, engine.info.vocabulary_size):
            with pytest.raises(IndexError):
                engine.token_bytes(token)

    def test_the_vocabulary_is_complete(self, engine: Engine) -> None:
        """`vocabulary` has every token's bytes, and an end token at least.

        An engine that cannot apply masks has none.

        To mend it: list `token_bytes` of every id, and name the model's end-of-generation
        tokens.
        """
        vocabulary = engine.vocabulary()
        if not self.supports_constraints:
            assert vocabulary is None
            return
        size = engine.info.vocabulary_size

        assert vocabulary is not None
        assert size == len(vocabulary.token_bytes)
        sample = {*range(0, size, max(1, size // 500)), *range(min(size, 300)), size - 1}
        for token in sorted(sample):
            assert engine.token_bytes(token) == vocabulary.token_bytes[token]
        assert vocabulary.end_tokens
        assert all(0 <= token < size for token in vocabulary.end_tokens)
        assert all(vocabulary.token_bytes[token] == b"" for token in vocabulary.control_tokens)
