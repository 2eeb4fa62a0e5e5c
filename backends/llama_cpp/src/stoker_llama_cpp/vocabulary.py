"""The tokenizer: from text to tokens, and from a token to its bytes."""

from __future__ import annotations

import ctypes
import functools
import itertools
from array import array
from collections.abc import Callable
from typing import Any

from llama_cpp import llama_cpp as native

from stoker.engine import InfillTokens
from stoker.engine import Vocabulary as WholeVocabulary
from stoker.errors import InvalidRequestError
from stoker_llama_cpp.metadata import whole_number

_PIECE_BYTES = 256
_NO_TOKEN = -1
# `whole` reads the pieces of many tokens at once, for each of which there is so much room at first.
_BLOCK_TOKENS = 8192
_ROOM_BYTES = 16
_SEPARATOR = b"\0"

# Names as templates written for Hugging Face transformers use them.
_SPECIAL_TOKENS: dict[str, Callable[[int], int]] = {
    "bos_token": native.llama_vocab_bos,
    "eos_token": native.llama_vocab_eos,
    "pad_token": native.llama_vocab_pad,
    "sep_token": native.llama_vocab_sep,
    "mask_token": native.llama_vocab_mask,
}


class Vocabulary:
    """The tokens of a model; lives as long as the model that it is of."""

    def __init__(self, model: int) -> None:
        """Find the vocabulary of a `llama_model`."""
        self._model = model
        self._handle = native.llama_model_get_vocab(model)
        self._size = int(native.llama_vocab_n_tokens(self._handle))
        self._bytes: list[bytes | None] = [None] * self._size

    def __len__(self) -> int:
        """How many tokens there are."""
        return self._size

    def encode(self, text: str, *, add_special: bool, parse_special: bool) -> list[int]:
        """Turn text into tokens; see `stoker.engine.Engine.encode`.

        Raises:
            InvalidRequestError: The text has half of a surrogate pair, which is no character.
        """
        try:
            data = text.encode()
        except UnicodeEncodeError as exc:
            raise InvalidRequestError(
                f"The text is no valid Unicode: character {exc.start} is half of a pair."
            ) from exc
        # Texts rarely have more tokens than bytes; when one has, the library says how many.
        room = len(data) + 2
        while True:
            tokens = (native.llama_token * room)()
            count = native.llama_tokenize(
                self._handle, data, len(data), tokens, room, add_special, parse_special
            )
            if count >= 0:
                return list(tokens[:count])
            room = -count

    def token_bytes(self, token: int) -> bytes:
        """The bytes that a token stands for; see `stoker.engine.Engine.token_bytes`.

        Raises:
            IndexError: There is no such token.
        """
        if not 0 <= token < self._size:
            raise IndexError(f"There is no token {token}: the vocabulary has {self._size}.")
        data = self._bytes[token]
        if data is None:
            data = self._bytes[token] = self._piece(token)
        return data

    def whole(self) -> WholeVocabulary:
        """All tokens; see `stoker.engine.Engine.vocabulary`. May be called from any thread."""
        pieces: list[bytes] = []
        ends: list[bool] = []
        separator = self._separator()
        # In blocks, because other threads of Python stand still during a block.
        for first in range(0, self._size, _BLOCK_TOKENS):
            block = range(first, min(first + _BLOCK_TOKENS, self._size))
            pieces += self._pieces(block, separator)
            ends += map(_IS_END, itertools.repeat(self._handle), block)
        return WholeVocabulary(
            token_bytes=pieces,
            end_tokens=frozenset(itertools.compress(range(self._size), ends)),
            control_tokens={
                token: native.llama_vocab_get_text(self._handle, token).decode(errors="replace")
                for token, piece in enumerate(pieces)
                if not piece and self._is_control(token)
            },
        )

    def ends_generation(self, token: int) -> bool:
        """Whether the model says with this token that it has finished."""
        return bool(native.llama_vocab_is_eog(self._handle, token))

    @functools.cached_property
    def special_tokens(self) -> dict[str, str]:
        """The texts of special tokens, by the names that templates use."""
        found = {name: function(self._handle) for name, function in _SPECIAL_TOKENS.items()}
        found["unk_token"] = self._unknown_token()
        return {
            name: native.llama_vocab_get_text(self._handle, token).decode(errors="replace")
            for name, token in found.items()
            if token != _NO_TOKEN
        }

    @property
    def infill(self) -> InfillTokens | None:
        """The tokens by which the model fills a text in; None when it lacks one of them."""
        functions = (
            native.llama_vocab_fim_pre,
            native.llama_vocab_fim_suf,
            native.llama_vocab_fim_mid,
        )
        found = [int(function(self._handle)) for function in functions]
        return None if _NO_TOKEN in found else InfillTokens(*found)

    def _unknown_token(self) -> int:
        """The token for what has no token; the library has no function for this one."""
        token = whole_number(self._model, "tokenizer.ggml.unknown_token_id")
        return _NO_TOKEN if token is None or token >= self._size else token

    def _is_control(self, token: int) -> bool:
        attributes = native.llama_vocab_get_attr(self._handle, token)
        return bool(attributes & native.LLAMA_TOKEN_ATTR_CONTROL)

    def _pieces(self, tokens: range, separator: int | None) -> list[bytes]:
        """The bytes of many tokens, each as `token_bytes` gives it."""
        if separator is not None:
            row = array("i", [separator]) * (2 * len(tokens) + 1)
            row[1::2] = array("i", tokens)
            pieces = self._text(row).split(_SEPARATOR)[1:-1]
            # There are more when a token has the separator within it.
            if len(pieces) == len(tokens):
                return pieces
        return [self._piece(token) for token in tokens]

    def _separator(self) -> int | None:
        """A token that tells where others begin in the text of many; None when there is none.

        A call for each of 262 144 tokens takes much longer than a text of all, but for some
        vocabularies the library takes spaces out of texts, those before full stops for one.
        """
        tokens = self.encode(_SEPARATOR.decode(), add_special=False, parse_special=False)
        if not tokens or self._piece(tokens[-1]) != _SEPARATOR:
            return None
        stop = self.encode(" .", add_special=False, parse_special=False)
        row = array("i", [tokens[-1], *stop, tokens[-1]])
        expected = b"".join(map(self._piece, row))
        return tokens[-1] if b" ." in expected and self._text(row) == expected else None

    def _text(self, tokens: array[int]) -> bytes:
        """The bytes of tokens, but for a space in front."""
        address = (native.llama_token * len(tokens)).from_buffer(tokens)
        size = len(tokens) * _ROOM_BYTES
        while True:
            buffer = ctypes.create_string_buffer(size)
            # Nothing stripped, and no text for control tokens.
            count = native.llama_detokenize(
                self._handle,
                address,
                len(tokens),
                buffer,
                size,
                False,  # noqa: FBT003 - a C function
                False,  # noqa: FBT003 - a C function
            )
            if count >= 0:
                return buffer.raw[:count]
            size = -count

    def _piece(self, token: int) -> bytes:
        size = _PIECE_BYTES
        while True:
            buffer = ctypes.create_string_buffer(size)
            # Nothing stripped, and no text for control tokens.
            count = native.llama_token_to_piece(self._handle, token, buffer, size, 0, False)  # noqa: FBT003 - a C function
            if count >= 0:
                return buffer.raw[:count]
            size = -count


def _quick(function: Any, result: Any, *arguments: Any) -> Callable[..., Any]:
    """A C function that keeps the interpreter lock: letting it go costs more than a short call."""
    address = ctypes.cast(function, ctypes.c_void_p).value or 0
    return ctypes.PYFUNCTYPE(result, *arguments)(address)


_POINTER, _INT, _BOOL = ctypes.c_void_p, ctypes.c_int32, ctypes.c_bool
_IS_END = _quick(native.llama_vocab_is_eog, _BOOL, _POINTER, _INT)
