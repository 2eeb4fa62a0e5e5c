"""The tokenizer: `tokenizer.json` by the library `tokenizers`, and the bytes of its tokens.

The library tells texts of tokens, but not their bytes: those depend on how the model's vocabulary
writes them, which `tokenizer.json` says under `decoder`.
"""

from __future__ import annotations

import functools
import json
import re
import threading
from collections.abc import Iterator, Mapping
from typing import Any

import tokenizers

from stoker.engine import InfillTokens, Vocabulary
from stoker.errors import InvalidArtifactError, InvalidRequestError
from stoker_mlx.model_files import TOKENIZER, ModelFiles

_SPECIAL_NAMES = ("bos_token", "eos_token", "unk_token", "pad_token", "sep_token", "mask_token")
_BYTE = re.compile(r"<0x([0-9A-Fa-f]{2})>")
_SPACE = "\u2581"

# Tokens by which models end a turn, whatever their config calls the end of a text: models are
# published whose config knows the base model's end only.
_ENDS_OF_TURNS = frozenset(
    {
        "<|im_end|>",
        "<|eot_id|>",
        "<|eom_id|>",
        "<|end|>",
        "<|endoftext|>",
        "<|end_of_text|>",
        "<end_of_turn>",
        "<|eot|>",
        "<|return|>",
        "<|call|>",
        "<EOT>",
    }
)


def _byte_letters() -> dict[str, int]:
    """The letters by which vocabularies of bytes write each byte, as GPT-2's did first.

    See `bytes_to_unicode` in https://github.com/openai/gpt-2/blob/master/src/encoder.py.
    """
    plain = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [byte for byte in range(256) if byte not in set(plain)]
    return {chr(byte): byte for byte in plain} | {
        chr(256 + place): byte for place, byte in enumerate(others)
    }


_LETTERS = _byte_letters()

# What stands before the text in front of a gap, before the text behind it, and before what fills
# it. No file of these models says which tokens these are.
_INFILL_TEXTS = (
    # Qwen 2.5 Coder, CodeGemma
    ("<|fim_prefix|>", "<|fim_suffix|>", "<|fim_middle|>"),
    # StarCoder and Granite, SantaCoder
    ("<fim_prefix>", "<fim_suffix>", "<fim_middle>"),
    ("<fim-prefix>", "<fim-suffix>", "<fim-middle>"),
    # DeepSeek Coder
    (
        "<\uff5cfim\u2581begin\uff5c>",
        "<\uff5cfim\u2581hole\uff5c>",
        "<\uff5cfim\u2581end\uff5c>",
    ),
    # Code Llama
    ("\u2581<PRE>", "\u2581<SUF>", "\u2581<MID>"),
)


class Tokenizer:
    """The tokens of a model. `encode` may be called from any thread."""

    def __init__(self, files: ModelFiles, *, size: int) -> None:
        """Read the files.

        Args:
            files: Of the model.
            size: How many logits the model gives; more than there are tokens, often.

        Raises:
            InvalidArtifactError: There is no `tokenizer.json`, or it is none.
        """
        path = files.require(TOKENIZER)
        try:
            source = path.read_text(encoding="utf-8")
            rules = json.loads(source)
            self._tokenizer = tokenizers.Tokenizer.from_str(source)
        except Exception as exc:
            raise InvalidArtifactError(
                f"{TOKENIZER} of {files.name} cannot be read: {exc}."
            ) from exc
        # What a file may ask for and no prompt wants.
        self._tokenizer.no_truncation()
        self._tokenizer.no_padding()
        # Guards the switch that tells control tokens from text.
        self._lock = threading.Lock()
        self._settings = files.json("special_tokens_map.json") | files.json("tokenizer_config.json")
        self._added = self._tokenizer.get_added_tokens_decoder()
        self._kinds = frozenset(_decoders(rules.get("decoder")))
        self._size = size
        self._ends = self._found_ends(files)

    def __len__(self) -> int:
        """How many tokens there are."""
        return self._size

    def encode(self, text: str, *, add_special: bool, parse_special: bool) -> list[int]:
        """Turn text into tokens; see `stoker.engine.Engine.encode`.

        Raises:
            InvalidRequestError: The text has half of a surrogate pair, which is no character.
        """
        try:
            text.encode()
        except UnicodeEncodeError as exc:
            raise InvalidRequestError(
                f"The text is no valid Unicode: character {exc.start} is half of a pair."
            ) from exc
        with self._lock:
            self._tokenizer.encode_special_tokens = not parse_special
            encoding = self._tokenizer.encode(text, add_special_tokens=add_special)
        ids: list[int] = encoding.ids
        return ids

    def token_bytes(self, token: int) -> bytes:
        """The bytes that a token stands for; see `stoker.engine.Engine.token_bytes`.

        Raises:
            IndexError: There is no such token.
        """
        if not 0 <= token < self._size:
            raise IndexError(f"There is no token {token}: the vocabulary has {self._size}.")
        return self._all_bytes[token]

    def whole(self) -> Vocabulary:
        """All tokens; see `stoker.engine.Engine.vocabulary`. May be called from any thread."""
        return Vocabulary(
            token_bytes=self._all_bytes,
            end_tokens=self._ends,
            control_tokens={
                token: added.content
                for token, added in self._added.items()
                if token < self._size and not self._all_bytes[token]
            },
        )

    def ends_generation(self, token: int) -> bool:
        """Whether the model says with this token that it has finished."""
        return token in self._ends

    @property
    def special_tokens(self) -> dict[str, str]:
        """The texts of special tokens, by the names that templates use."""
        found = {}
        for name in _SPECIAL_NAMES:
            value = self._settings.get(name)
            # Older files have a record of how to look for it.
            text = value.get("content") if isinstance(value, dict) else value
            if isinstance(text, str):
                found[name] = text
        return found

    @property
    def infill(self) -> InfillTokens | None:
        """The tokens by which the model fills a text in; None when it has none that are known."""
        for texts in _INFILL_TEXTS:
            ids = [self._tokenizer.token_to_id(text) for text in texts]
            found = [token for token in ids if token is not None and token < self._size]
            if len(found) == len(ids):
                return InfillTokens(*found)
        return None

    @property
    def chat_template(self) -> str | None:
        """The Jinja source in `tokenizer_config.json`, the one named `default` of several."""
        source = self._settings.get("chat_template")
        if isinstance(source, list):
            named = {
                item.get("name"): item.get("template") for item in source if isinstance(item, dict)
            }
            source = named.get("default")
        return source if isinstance(source, str) else None

    @functools.cached_property
    def _all_bytes(self) -> list[bytes]:
        found = [b""] * self._size
        added = self._added
        for text, token in self._tokenizer.get_vocab(with_added_tokens=False).items():
            if token < self._size and token not in added:
                found[token] = self._bytes_of(text)
        for token, item in added.items():
            # Added tokens are written as they are, whatever the vocabulary does.
            if token < self._size and not item.special:
                found[token] = item.content.encode()
        return found

    def _bytes_of(self, text: str) -> bytes:
        if "ByteLevel" in self._kinds:
            try:
                return bytes(map(_LETTERS.__getitem__, text))
            except KeyError:
                return text.encode()
        if "ByteFallback" in self._kinds and (match := _BYTE.fullmatch(text)):
            return bytes([int(match[1], 16)])
        return text.replace(_SPACE, " ").encode()

    def _found_ends(self, files: ModelFiles) -> frozenset[int]:
        ids: set[int] = set()
        config = files.json("config.json")
        nested = config.get("text_config")
        for table in (config, nested, files.json("generation_config.json")):
            value = table.get("eos_token_id") if isinstance(table, dict) else None
            for token in value if isinstance(value, list) else [value]:
                if isinstance(token, int) and 0 <= token < self._size:
                    ids.add(token)
        texts = {item.content for item in self._added.values()} & _ENDS_OF_TURNS
        if (named := self.special_tokens.get("eos_token")) is not None:
            texts.add(named)
        for text in texts:
            token = self._tokenizer.token_to_id(text)
            if token is not None and token < self._size:
                ids.add(token)
        if not ids:
            raise InvalidArtifactError(
                f"The files of {files.name} name no token that ends a text: config.json lacks"
                " eos_token_id."
            )
        return frozenset(ids)


def _decoders(decoder: Any) -> Iterator[str]:
    """The kinds of a decoder and of those within it."""
    if isinstance(decoder, Mapping):
        yield str(decoder.get("type"))
        for inner in decoder.get("decoders") or ():
            yield from _decoders(inner)
