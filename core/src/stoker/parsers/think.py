"""The syntax of models that think and call nothing."""

from __future__ import annotations

from stoker.errors import UnsupportedFeatureError
from stoker.parser import ForcedCalls, Literal, OutputParser, ParsingContext, Syntax
from stoker.parsers.message import THINK, MessageParser
from stoker.parsers.reader import Reading


class _Parser(MessageParser):
    def call(self, marker: str) -> Reading[bool]:
        del marker
        yield from ()
        return False


class ThinkSyntax(Syntax):
    """`<think>` ... `</think>`, then the answer."""

    control_tokens = frozenset({"<think>", "</think>"})
    reasoning = THINK

    def parser(self, context: ParsingContext) -> OutputParser:
        """See `Syntax.parser`."""
        return _Parser(context, self.reasoning)

    def calls(self, forced: ForcedCalls, literal: Literal) -> str:
        """There are none.

        Raises:
            UnsupportedFeatureError: Always.
        """
        del forced, literal
        raise UnsupportedFeatureError("This model's syntax has no tool calls.", param="tools")
