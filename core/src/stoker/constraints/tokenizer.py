"""The tokenizer of llguidance, built from a vocabulary."""

from __future__ import annotations

import array
import ctypes
import functools
import logging
import weakref
from collections.abc import Callable
from typing import Any

from stoker.constraints.library import TokenizeFunction, TokenizerInit, library
from stoker.engine import Vocabulary
from stoker.errors import UnavailableError

_log = logging.getLogger(__name__)

# Marks a token as one that no text matches (toktrie's SPECIAL_TOKEN_MARKER).
_CONTROL_MARK = b"\xff"
_ERROR_BYTES = 1000
_LINE = "\n"
# A line's end is one token, or a space and its byte.
_LINE_TOKENS = 2
_LONGEST_BYTES = 64

# Sets of tokens that are taken into a mask as a whole where the grammar allows all of them: those
# of JSON strings of bounded length, and of any length. Without them a mask inside a string takes
# ten times as long. llguidance's own list has two more, of white space and of 1 to 30 characters:
# the first saves nothing in compact JSON, the second little beside its neighbours, and each takes
# 15 MB and a tenth of a second for 262 144 tokens.
_SLICES = (
    rb'[^"\\\x00-\x1F\x7F]{1,10}',
    rb'[^"\\\x00-\x1F\x7F]+',
)

Encode = Callable[[str], list[int]]


class Tokenizer:
    """A vocabulary as llguidance needs it. Owns memory outside Python, and frees it."""

    def __init__(self, vocabulary: Vocabulary, encode: Encode, *, hasty: bool = False) -> None:
        """Build it. Takes a second for 262 144 tokens, without the interpreter lock.

        Args:
            vocabulary: All tokens.
            encode: Turns text into tokens as the model was trained to read it. Called when a
                matcher looks for what is forced, in that thread.
            hasty: Be ready in little more than half of the time, with masks that take longer.

        Raises:
            UnavailableError: llguidance cannot be used, or not with these tokens.
        """
        functions = library()
        tokens = list(vocabulary.token_bytes)
        for token, text in vocabulary.control_tokens.items():
            tokens[token] = _CONTROL_MARK + text.encode()
        lengths = array.array("I", map(len, tokens))
        data = b"".join(tokens)
        first_end, *more_ends = sorted(vocabulary.end_tokens)
        ends = array.array("I", more_ends)
        error = ctypes.create_string_buffer(_ERROR_BYTES)
        self.end_tokens = vocabulary.end_tokens
        slices = () if hasty else _SLICES
        # llguidance calls it for as long as it lives.
        self._tokenize = TokenizeFunction(_c_function(_Spelling(vocabulary, encode)))
        handle = functions.new_tokenizer(
            TokenizerInit(
                struct_size=ctypes.sizeof(TokenizerInit),
                vocab_size=len(tokens),
                tok_eos=first_end,
                token_lens=lengths.buffer_info()[0],
                token_bytes=ctypes.cast(ctypes.c_char_p(data), ctypes.c_void_p).value,
                tokenize_assumes_string=True,
                tokenize_fn=self._tokenize,
                slices=(ctypes.c_char_p * (len(slices) + 1))(*slices, None),
                tok_eos_extra=ends.buffer_info()[0],
                tok_eos_extra_count=len(ends),
            ),
            error,
            _ERROR_BYTES,
        )
        if handle is None:
            words = error.value.decode(errors="replace")
            raise UnavailableError(f"llguidance cannot use the model's tokens: {words}.")
        self.handle = handle
        weakref.finalize(self, functions.free_tokenizer, handle).atexit = False


def _c_function(spelling: _Spelling) -> Callable[..., int]:
    def tokenize(_user_data: Any, text: Any, size: int, output: Any, room: int) -> int:
        try:
            tokens = spelling.tokens_of(ctypes.string_at(text, size))
        except Exception:  # noqa: BLE001 - an exception would leave llguidance with any number
            _log.warning("The engine's tokenizer failed on a forced text", exc_info=True)
            return 0
        for place, token in enumerate(tokens[:room]):
            output[place] = token
        return len(tokens)

    return tokenize


class _Spelling:
    """How the model's tokenizer writes a text in the middle of others: exactly its bytes."""

    def __init__(self, vocabulary: Vocabulary, encode: Encode) -> None:
        self._pieces = vocabulary.token_bytes
        self._encode = encode

    def tokens_of(self, data: bytes) -> list[int]:
        text = data.decode()
        tokens = self._encode(text)
        if self._bytes_of(tokens) == data:
            return tokens
        # Some tokenizers put a space before a text, and none before what follows a line.
        tokens = self._encode(_LINE + text)
        for count in range(1, _LINE_TOKENS + 1):
            if self._bytes_of(tokens[count:]) == data:
                return tokens[count:]
        return self._longest(data)

    def _bytes_of(self, tokens: list[int]) -> bytes:
        return b"".join(self._pieces[token] for token in tokens)

    @functools.cached_property
    def _tokens(self) -> dict[bytes, int]:
        return {piece: token for token, piece in enumerate(self._pieces) if piece}

    def _longest(self, data: bytes) -> list[int]:
        """The longest token that fits, again and again; nothing where none does."""
        tokens = []
        while data:
            sizes = range(min(len(data), _LONGEST_BYTES), 0, -1)
            found = next((size for size in sizes if data[:size] in self._tokens), 0)
            if not found:
                return []
            tokens.append(self._tokens[data[:found]])
            data = data[found:]
        return tokens
