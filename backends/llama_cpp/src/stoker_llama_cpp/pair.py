"""A query and a document as a reranker reads them: one text of two parts."""

from __future__ import annotations

import re

from llama_cpp import llama_cpp as native

from stoker_llama_cpp.model import Model

_NO_TOKEN = -1
_PLACES = re.compile(r"\{(query|document)\}")


class PairEncoder:
    """Puts pairs together as llama-server does.

    A model's file may have a template by the name `rerank`; else the tokenizer's settings say which
    special tokens stand around the two. See `format_prompt_rerank` in
    https://github.com/ggml-org/llama.cpp/blob/master/tools/server/server-common.cpp.
    """

    def __init__(self, model: Model) -> None:
        self._vocabulary = model.vocabulary
        self._template = model.rerank_template
        handle = native.llama_model_get_vocab(model.handle)
        begin, separator = native.llama_vocab_bos(handle), native.llama_vocab_sep(handle)
        end = native.llama_vocab_eos(handle)
        end = separator if end == _NO_TOKEN else end
        self._begin = [begin] if native.llama_vocab_get_add_bos(handle) else []
        self._end = [end] if native.llama_vocab_get_add_eos(handle) else []
        middle = [separator] if native.llama_vocab_get_add_sep(handle) else []
        self._middle = [*self._end, *middle]

    def encode(self, query: str, document: str) -> list[int]:
        """The tokens of a pair.

        Raises:
            InvalidRequestError: A text has half of a surrogate pair, which is no character.
        """
        if self._template is not None:
            return self._templated(self._template, {"query": query, "document": document})
        return [
            *self._begin,
            *self._plain(query),
            *self._middle,
            *self._plain(document),
            *self._end,
        ]

    def _templated(self, template: str, words: dict[str, str]) -> list[int]:
        # Every second piece is the name of a place.
        pieces = _PLACES.split(template)
        if not any(map(self._spells_control, words.values())):
            # In one go: the model was trained on the tokens that this gives.
            text = "".join(words[item] if i % 2 else item for i, item in enumerate(pieces))
            return self._control(text)
        return [
            token
            for i, item in enumerate(pieces)
            for token in (self._plain(words[item]) if i % 2 else self._control(item))
        ]

    def _spells_control(self, text: str) -> bool:
        return self._plain(text) != self._control(text)

    def _plain(self, text: str) -> list[int]:
        return self._vocabulary.encode(text, add_special=False, parse_special=False)

    def _control(self, text: str) -> list[int]:
        return self._vocabulary.encode(text, add_special=False, parse_special=True)
