"""The parsers that stoker brings keep the contract of parsers."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest

from stoker.messages import Tool
from stoker.parser import OutputParser, ParsingContext
from stoker.parsers.hermes import HermesSyntax
from stoker.parsers.think import ThinkSyntax
from stoker.testing import ParsedAnswer, ParserContract

TOOLS = (Tool("look", "Look.", {"type": "object"}), Tool("go", "Go.", {"type": "object"}))


class TestThink(ParserContract):
    @pytest.fixture
    def make_parser(self) -> Callable[[], OutputParser]:
        """Reasoning and nothing else."""
        return lambda: ThinkSyntax().parser(ParsingContext())

    @pytest.fixture
    def samples(self) -> Sequence[tuple[str, ParsedAnswer]]:
        """An answer with thoughts before it."""
        return [("<think>Füße? 🙂</think>Yes.", ParsedAnswer("Yes.", "Füße? 🙂"))]


class TestHermes(ParserContract):
    @pytest.fixture
    def make_parser(self) -> Callable[[], OutputParser]:
        """Calls between tags."""
        return lambda: HermesSyntax().parser(ParsingContext(tools=TOOLS))

    @pytest.fixture
    def samples(self) -> Sequence[tuple[str, ParsedAnswer]]:
        """Two calls after some words."""
        text = (
            'Wait.<tool_call>\n{"name": "look", "arguments": {"a": "<think>"}}\n</tool_call>\n'
            '<tool_call>\n{"name": "go", "arguments": {}}\n</tool_call>'
        )
        return [(text, ParsedAnswer("Wait.", "", (("look", '{"a": "<think>"}'), ("go", "{}"))))]
