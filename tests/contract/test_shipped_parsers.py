"""The parsers that stoker brings keep the contract of parsers."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence

import pytest
from family_answers import ANSWERS, TOOLS, Answer

from stoker.parser import OutputParser, ParsingContext
from stoker.parsers.shipped import PLAIN, SHIPPED, THINK
from stoker.plugins import PluginManager
from stoker.testing import ParsedAnswer, ParserContract

# Where the prompt has begun to think, a plain text is no answer.
FROM_THE_START = [answer for answer in ANSWERS if not answer.prompt]


@pytest.mark.parametrize("answer", FROM_THE_START, ids=lambda answer: answer.name)
class TestShippedParsers(ParserContract):
    @pytest.fixture
    def make_parser(self, answer: Answer) -> Callable[[], OutputParser]:
        """Parsers of one family."""
        return lambda: answer.syntax.parser(ParsingContext(tools=TOOLS))

    @pytest.fixture
    def samples(self, answer: Answer) -> Sequence[tuple[str, ParsedAnswer]]:
        """What a model of the family has written."""
        calls = tuple((name, json.dumps(arguments)) for name, arguments in answer.said.calls)
        return [(answer.written, ParsedAnswer(answer.said.text, answer.said.reasoning, calls))]


def test_every_parser_is_tested() -> None:
    """A parser that joins the list of stoker's own, or of an installed plugin, needs an answer."""
    specs = [*SHIPPED, THINK, PLAIN, *PluginManager().parsers.values()]
    tested = {type(answer.syntax) for answer in FROM_THE_START}

    assert [] == [spec.name for spec in specs if type(spec.factory("")) not in tested]
