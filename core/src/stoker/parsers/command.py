r"""The syntax of Command R7B and Command A.

A list of `{"tool_call_id": "0", "tool_name": "f", "parameters": {"a": 1}}` stands between
`<|START_ACTION|>` and `<|END_ACTION|>`; each part of an answer has marks of its own:
https://docs.cohere.com/docs/command-r7b-hf
"""

from __future__ import annotations

from stoker.parser import (
    ForcedCalls,
    Literal,
    OutputParser,
    ParsingContext,
    ReasoningMarks,
    Syntax,
)
from stoker.parsers.json_reader import CallKeys
from stoker.parsers.lark import calls_rule, json_call
from stoker.parsers.message import MessageParser
from stoker.parsers.reader import Reading

START, END = "<|START_ACTION|>", "<|END_ACTION|>"
_PARTS = ("<|START_RESPONSE|>", "<|END_RESPONSE|>", "<|START_TEXT|>", "<|END_TEXT|>")
_KEYS = CallKeys(names=("tool_name", "name"))


class _Parser(MessageParser):
    markers = (START,)
    ignored = _PARTS

    def call(self, marker: str) -> Reading[bool]:
        del marker
        yield from self.space()
        if not (yield from self.call_list(_KEYS)):
            return False
        yield from self.space()
        yield from self.starts(END)
        return True


class CommandSyntax(Syntax):
    """A list of JSON between control tokens."""

    reasoning = ReasoningMarks("<|START_THINKING|>", "<|END_THINKING|>")
    answer_lead = "<|START_RESPONSE|>"
    control_tokens = frozenset({START, END, *_PARTS, reasoning.start, reasoning.end})

    def parser(self, context: ParsingContext) -> OutputParser:
        """See `Syntax.parser`."""
        return _Parser(context, self.reasoning)

    def calls(self, forced: ForcedCalls, literal: Literal) -> str:
        """See `Syntax.calls`."""
        # The model numbers its calls; the numbers mean nothing outside.
        call = json_call('{"tool_call_id": "0", "tool_name": "', '", "parameters": ', "}", literal)
        last = f"\n]{END}"
        return calls_rule(
            forced, literal, call, first=f"{START}[\n    ", between=",\n    ", last=last
        )
