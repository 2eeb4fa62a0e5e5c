"""The contract of parsers (`stoker.parser.OutputParser`), as tests."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterable, Sequence

import attrs
import pytest

from stoker.events import ReasoningDelta, TextDelta, ToolCallDelta
from stoker.parser import OutputParser
from stoker.testing.contract import Contract, missing_fixture

Delta = TextDelta | ReasoningDelta | ToolCallDelta

PLAIN = 'Füße, 東京 and 🙂: 1 < 2 > 1, {"a": [1]} & `code`.\n\n    An end.'
"""Something that no model means as a call: it comes out as it went in."""


@attrs.frozen
class ParsedAnswer:
    """What a text means, with the pieces joined."""

    text: str = ""
    reasoning: str = ""
    calls: tuple[tuple[str, str], ...] = ()
    """(name, arguments as JSON) of each call, in order."""


def join(deltas: Iterable[Delta]) -> ParsedAnswer:
    """Join the deltas of one choice."""
    text = reasoning = ""
    names: dict[int, str] = {}
    arguments: dict[int, str] = {}
    for delta in deltas:
        if isinstance(delta, TextDelta):
            text += delta.text
        elif isinstance(delta, ReasoningDelta):
            reasoning += delta.text
        else:
            names.setdefault(delta.call_index, delta.name or "")
            arguments[delta.call_index] = arguments.get(delta.call_index, "") + delta.arguments
    calls = tuple((names[index], arguments[index]) for index in sorted(names))
    return ParsedAnswer(text, reasoning, calls)


class ParserContract(Contract):
    """What every `OutputParser` must do. Override `make_parser` and `samples`."""

    plain = PLAIN
    """A text without any mark of the syntax; override it where this one has some."""

    @pytest.fixture
    def make_parser(self) -> Callable[[], OutputParser]:
        """A function that makes a fresh parser. Override this."""
        missing_fixture(self, "make_parser", "return a function that makes a fresh parser")

    @pytest.fixture
    def samples(self) -> Sequence[tuple[str, ParsedAnswer]]:
        """Texts in the syntax, with what they mean; one with everything it has. Override this."""
        missing_fixture(self, "samples", "return pairs of a text and a ParsedAnswer")

    def test_samples_are_understood(
        self,
        make_parser: Callable[[], OutputParser],
        samples: Sequence[tuple[str, ParsedAnswer]],
    ) -> None:
        """Each sample means what it should, and the arguments of calls are whole JSON.

        To mend it: print what `feed` returns for the whole text. Arguments are passed on as the
        model wrote them, from the first brace to the last.
        """
        for text, meaning in samples:
            found = _parsed(make_parser(), [text])

            assert (meaning.text, meaning.reasoning) == (found.text, found.reasoning)
            assert [name for name, _ in meaning.calls] == [name for name, _ in found.calls]
            assert [json.loads(arguments) for _, arguments in meaning.calls] == [
                json.loads(arguments) for _, arguments in found.calls
            ]

    def test_chunks_do_not_matter(
        self,
        make_parser: Callable[[], OutputParser],
        samples: Sequence[tuple[str, ParsedAnswer]],
    ) -> None:
        """However a text is cut, the joined deltas are the same.

        To mend it: hold back an end of the text that may be the beginning of a mark, until more
        of it is there or `finish` is called.
        """
        for text in [self.plain, *(text for text, _ in samples)]:
            whole = _parsed(make_parser(), [text])

            assert whole == _parsed(make_parser(), list(text)), "one character at a time"
            for seed in range(20):
                assert whole == _parsed(make_parser(), _cut(text, seed)), f"cut by seed {seed}"

    def test_plain_text_is_left_alone(self, make_parser: Callable[[], OutputParser]) -> None:
        """A text without marks of the syntax comes out to the last character, as text.

        To mend it: give back what was held back when it turns out to be no mark, white space
        included.
        """
        assert ParsedAnswer(self.plain) == _parsed(make_parser(), list(self.plain))

    def test_the_beginning_of_a_mark_is_text(
        self,
        make_parser: Callable[[], OutputParser],
        samples: Sequence[tuple[str, ParsedAnswer]],
    ) -> None:
        """What looked like a mark when the text ended is the answer's, to the last character.

        To mend it: let `finish` return what was held back.
        """
        signs = {sign for text, _ in samples for sign in text if sign.isascii()}
        for sign in sorted(sign for sign in signs if not sign.isalnum() and not sign.isspace()):
            assert ParsedAnswer(f"So {sign}") == _parsed(make_parser(), ["So ", sign])

    def test_a_text_that_breaks_off_is_no_error(
        self,
        make_parser: Callable[[], OutputParser],
        samples: Sequence[tuple[str, ParsedAnswer]],
    ) -> None:
        """`max_tokens` may cut an answer anywhere: `finish` gives what there is and never raises.

        To mend it: let `finish` return what was held back; an incomplete call is text, or a call
        with what came of its arguments.
        """
        for text, _ in samples:
            for end in range(len(text)):
                _parsed(make_parser(), [text[:end]])

    def test_deltas_say_something(
        self,
        make_parser: Callable[[], OutputParser],
        samples: Sequence[tuple[str, ParsedAnswer]],
    ) -> None:
        """No delta is empty, and all belong to choice 0, which the core replaces.

        To mend it: return an empty list where there is nothing to say yet.
        """
        for text, _ in samples:
            for delta in _deltas(make_parser(), list(text)):
                if isinstance(delta, ToolCallDelta):
                    said = delta.arguments or delta.name
                else:
                    said = delta.text
                assert said, f"{delta!r} says nothing"
                assert 0 == delta.index

    def test_calls_come_in_order(
        self,
        make_parser: Callable[[], OutputParser],
        samples: Sequence[tuple[str, ParsedAnswer]],
    ) -> None:
        """A call's id and name come with its first delta only; calls are numbered from 0 on.

        To mend it: count calls per parser, and send the name with the first piece.
        """
        for text, _ in samples:
            deltas = _deltas(make_parser(), list(text))
            calls = [delta for delta in deltas if isinstance(delta, ToolCallDelta)]
            begun: list[int] = []
            for call in calls:
                named = call.id is not None and call.name is not None
                assert named is (call.call_index not in begun), f"{call!r}: id and name come first"
                if named:
                    begun.append(call.call_index)
                assert begun[-1] == call.call_index, f"{call!r} comes after the next call's begin"
            assert list(range(len(begun))) == begun
            ids = {call.id for call in calls if call.id is not None}
            assert len(begun) == len(ids), "two calls have one id"

    def test_parsers_do_not_mix(
        self,
        make_parser: Callable[[], OutputParser],
        samples: Sequence[tuple[str, ParsedAnswer]],
    ) -> None:
        """Two parsers that are fed in turn give what each gives alone.

        To mend it: keep all state in the parser; the factory makes a new one per choice.
        """
        texts = [self.plain, *(text for text, _ in samples)]
        parsers = [make_parser() for _ in texts]
        deltas: list[list[Delta]] = [[] for _ in texts]
        for place in range(max(map(len, texts))):
            for text, parser, found in zip(texts, parsers, deltas, strict=True):
                found.extend(parser.feed(text[place : place + 1]) if place < len(text) else ())
        for parser, found in zip(parsers, deltas, strict=True):
            found.extend(parser.finish())

        alone = [_parsed(make_parser(), list(text)) for text in texts]
        assert alone == [join(item) for item in deltas]


def _deltas(parser: OutputParser, pieces: Iterable[str]) -> list[Delta]:
    found: list[Delta] = []
    for piece in pieces:
        found.extend(parser.feed(piece))
    return [*found, *parser.finish()]


def _parsed(parser: OutputParser, pieces: Iterable[str]) -> ParsedAnswer:
    return join(_deltas(parser, pieces))


def _cut(text: str, seed: int) -> list[str]:
    """The text in random pieces."""
    draw = random.Random(seed)  # noqa: S311 - no secret
    pieces = []
    while text:
        length = draw.randint(1, 12)
        pieces.append(text[:length])
        text = text[length:]
    return pieces
