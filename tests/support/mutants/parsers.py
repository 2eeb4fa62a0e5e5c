"""Parsers with one fault each; `tools/mutations.py` looks whether the kit finds it."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import attrs
import pytest
from tag_parser import SAMPLES, TagParser

from stoker.events import ToolCallDelta
from stoker.parser import OutputParser
from stoker.testing import ParsedAnswer, ParserContract
from stoker.testing.parser import Delta


class Mutant(ParserContract):
    """Makes the parser that a subclass names."""

    parser_class: type[TagParser] = TagParser

    @pytest.fixture
    def make_parser(self) -> Callable[[], OutputParser]:
        return self.parser_class

    @pytest.fixture
    def samples(self) -> Sequence[tuple[str, ParsedAnswer]]:
        return SAMPLES


class Eager(TagParser):
    def _held(self, text: str) -> int:
        return 0


class TestEager(Mutant):
    """It takes the beginning of a mark for text when the rest comes later."""

    caught_by = frozenset({"test_chunks_do_not_matter"})
    parser_class = Eager


class Losing(TagParser):
    def finish(self) -> Sequence[Delta]:
        return ()


class TestLosing(Mutant):
    """It forgets at the end what it held back."""

    caught_by = frozenset({"test_the_beginning_of_a_mark_is_text"})
    parser_class = Losing


class Fussy(TagParser):
    def finish(self) -> Sequence[Delta]:
        if self._inside is not None:
            raise ValueError("The answer broke off.")
        return super().finish()


class TestFussy(Mutant):
    """It raises when an answer breaks off."""

    caught_by = frozenset({"test_a_text_that_breaks_off_is_no_error"})
    parser_class = Fussy


class Repeating(TagParser):
    def feed(self, text: str) -> Sequence[Delta]:
        return [
            attrs.evolve(item, call_index=0) if isinstance(item, ToolCallDelta) else item
            for item in super().feed(text)
        ]


class TestRepeating(Mutant):
    """It gives every call the number 0."""

    caught_by = frozenset({"test_samples_are_understood", "test_calls_come_in_order"})
    parser_class = Repeating


class TestShared(Mutant):
    """It uses one parser for all answers."""

    caught_by = frozenset({"test_parsers_do_not_mix"})

    @pytest.fixture
    def make_parser(self) -> Callable[[], OutputParser]:
        parser = TagParser()
        return lambda: parser
