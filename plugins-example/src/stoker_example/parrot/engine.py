"""A parrot: an engine that needs no model, no library and no time."""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import attrs

from stoker.engine import EngineInfo, TextEngine
from stoker.errors import InvalidRequestError, LoadError, UnsupportedFeatureError
from stoker.messages import Author, TextPart
from stoker.request import ChatPrompt, GenerateRequest, TextPrompt
from stoker_example.parrot.plugin import ParrotOptions

CONTEXT_LENGTH = 4096
"""In pieces, which here are words. A real engine tells what its model can hold."""


@attrs.frozen
class Phrase:
    """What the parrot says when it hears a keyword."""

    keyword: str
    """In lower case; `*` is heard in everything."""
    answer: str
    """`{text}` in it stands for what was said to the parrot."""


def read_phrases(path: Path) -> list[Phrase]:
    """Read a weights file: one `keyword: answer` per line, tried from top to bottom.

    Raises:
        LoadError: The file is not in that form.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as exc:
        raise LoadError(f"The parrot's phrases cannot be read from {path}: {exc}.") from exc
    phrases = []
    for number, line in enumerate(text.splitlines(), start=1):
        keyword, colon, answer = line.partition(":")
        if not (keyword.strip() and colon and answer.strip()):
            raise LoadError(f"{path.name}, line {number}: write `keyword: answer`, not {line!r}.")
        phrases.append(Phrase(keyword.strip().lower(), answer.strip()))
    if not phrases:
        raise LoadError(f"{path.name} is empty: a parrot needs a line `keyword: answer`.")
    return phrases


class ParrotEngine(TextEngine):
    """Answers the last thing that the user said; the same words always get the same answer.

    Several answers can be under way at once, because each iterator has its own state.
    """

    def __init__(self, phrases: Sequence[Phrase], options: ParrotOptions) -> None:
        self._phrases = tuple(phrases)
        self._options = options
        self._info = EngineInfo(context_length=CONTEXT_LENGTH, vocabulary_size=0, devices=("cpu",))

    @property
    def info(self) -> EngineInfo:
        """What was loaded."""
        return self._info

    def generate(self, request: GenerateRequest, *, index: int) -> Iterator[str]:
        """Answer word by word; every choice gets the same answer.

        Not a generator itself: what cannot be honoured is refused now, not at the first `next`.

        Raises:
            UnsupportedFeatureError: The request wants something that no parrot can do.
            InvalidRequestError: The user said nothing.
        """
        del index  # A model that samples would draw a different answer for each.
        _refuse_unsupported(request)
        answer = " ".join([self._answer(_said(request))] * self._options.repeat)
        # Each word carries the space after it; joined, the pieces are the answer's exact text.
        words = [f"{word} " for word in answer.split(" ")]
        if request.ignore_end:
            return self._speak(itertools.cycle(words))
        return self._speak([*words[:-1], words[-1].removesuffix(" ")])

    def close(self) -> None:
        """Nothing to free: a real engine gives its memory back here."""

    def _answer(self, text: str) -> str:
        heard = text.lower()
        for phrase in self._phrases:
            if phrase.keyword in ("*", heard) or phrase.keyword in heard.split():
                # No str.format: a user's text or a file's braces must not become fields.
                return phrase.answer.replace("{text}", text)
        return text

    def _speak(self, words: Sequence[str] | Iterator[str]) -> Iterator[str]:
        # The core takes the iterators of all requests in turn, so no step may block for long.
        pause_s = 1 / self._options.words_per_second if self._options.words_per_second else 0
        for word in words:
            yield word
            if pause_s:
                time.sleep(pause_s)


def _said(request: GenerateRequest) -> str:
    """The text to answer: the prompt, or the user's last message."""
    prompt = request.prompt
    if isinstance(prompt, TextPrompt):
        text = prompt.text
    elif isinstance(prompt, ChatPrompt):
        turns = [turn for turn in prompt.messages if turn.author is Author.USER]
        if turns and not all(isinstance(part, TextPart) for part in turns[-1].parts):
            raise UnsupportedFeatureError(
                "A parrot hears text only: leave images and audio out.", param="messages"
            )
        text = turns[-1].text if turns else ""
    else:
        raise UnsupportedFeatureError(
            "A parrot has no tokens: send text or messages.", param="prompt"
        )
    if not text.strip():
        raise InvalidRequestError("The user said nothing that could be answered.", param="prompt")
    return text.strip()


def _refuse_unsupported(request: GenerateRequest) -> None:
    """Refuse by name what would otherwise be dropped in silence.

    Temperature and its kin need no refusal: the parrot is always certain of its next word, so
    every setting gives the same answer.
    """
    unsupported = {
        "constraint": request.constraint is not None,
        "adapters": bool(request.adapters),
        "tools": isinstance(request.prompt, ChatPrompt) and bool(request.prompt.tools),
        "logprobs": request.sampling.logprobs is not None,
        "logit_bias": bool(request.sampling.logit_bias),
    }
    for param, wanted in unsupported.items():
        if wanted:
            raise UnsupportedFeatureError(f"A parrot knows no {param}: leave it out.", param=param)
