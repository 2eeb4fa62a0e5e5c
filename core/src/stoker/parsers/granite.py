r"""The syntax of Granite 3: `<|tool_call|>[{"name": "f", "arguments": {"a": 1}}]`.

Its reasoning stands between `<think>` and `</think>`, and the answer after it in tags as well:
https://www.ibm.com/granite/docs/models/granite
"""

from __future__ import annotations

from stoker.parser import ForcedCalls, Literal, OutputParser, ParsingContext, Syntax
from stoker.parsers.json_reader import CallKeys
from stoker.parsers.lark import calls_rule, json_call
from stoker.parsers.message import THINK, MessageParser
from stoker.parsers.reader import Reading

CALLS = "<|tool_call|>"


class _Parser(MessageParser):
    markers = (CALLS, "<tool_call>")
    ignored = ("<response>", "</response>")

    def call(self, marker: str) -> Reading[bool]:
        del marker
        yield from self.space()
        if not (yield from self.call_list(CallKeys())):
            return False
        yield from self.space()
        yield from self.starts("</tool_call>")
        return True


class GraniteSyntax(Syntax):
    """A list of JSON after a control token."""

    control_tokens = frozenset({CALLS, "<tool_call>", "</tool_call>"})
    reasoning = THINK

    def parser(self, context: ParsingContext) -> OutputParser:
        """See `Syntax.parser`."""
        return _Parser(context, self.reasoning)

    def calls(self, forced: ForcedCalls, literal: Literal) -> str:
        """See `Syntax.calls`."""
        call = json_call('{"name": "', '", "arguments": ', "}", literal)
        return calls_rule(forced, literal, call, first=f"{CALLS}[", between=", ", last="]")
