r"""The syntax of Hermes, which Qwen, Granite 4, SmolLM 3 and many others write.

`<tool_call>\n{"name": "f", "arguments": {"a": 1}}\n</tool_call>`, once for each call:
https://github.com/NousResearch/Hermes-Function-Calling
"""

from __future__ import annotations

from stoker.parser import ForcedCalls, Literal, OutputParser, ParsingContext, Syntax
from stoker.parsers.json_reader import CallKeys
from stoker.parsers.lark import calls_rule, json_call
from stoker.parsers.message import THINK, MessageParser
from stoker.parsers.reader import Reading

START, END = "<tool_call>", "</tool_call>"


class _Parser(MessageParser):
    markers = (START,)

    def call(self, marker: str) -> Reading[bool]:
        del marker
        yield from self.space()
        if not (yield from self.call_list(CallKeys())):
            return False
        yield from self.space()
        yield from self.starts(END)
        return True


class HermesSyntax(Syntax):
    """JSON between tags."""

    control_tokens = frozenset({START, END, "<think>", "</think>"})
    reasoning = THINK

    def parser(self, context: ParsingContext) -> OutputParser:
        """See `Syntax.parser`."""
        return _Parser(context, self.reasoning)

    def calls(self, forced: ForcedCalls, literal: Literal) -> str:
        """See `Syntax.calls`."""
        call = json_call(f'{START}\n{{"name": "', '", "arguments": ', f"}}\n{END}", literal)
        return calls_rule(forced, literal, call, between="\n")
