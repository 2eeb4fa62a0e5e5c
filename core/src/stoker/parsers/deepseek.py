r"""The syntaxes of DeepSeek's models.

V3 and R1 write the kind of each call, its name, and its arguments in a fence of Markdown; V3.1
writes the name and the arguments:
https://huggingface.co/deepseek-ai/DeepSeek-V3.1#toolcall
"""

from __future__ import annotations

from stoker.parser import ForcedCalls, Literal, OutputParser, ParsingContext, Syntax
from stoker.parsers.lark import calls_rule, json_call
from stoker.parsers.message import THINK, MessageParser
from stoker.parsers.reader import Reading

BEGIN, END = "<｜tool▁calls▁begin｜>", "<｜tool▁calls▁end｜>"
CALL, CALL_END, SEPARATOR = "<｜tool▁call▁begin｜>", "<｜tool▁call▁end｜>", "<｜tool▁sep｜>"
_FENCE, _FENCE_END = "\n```json\n", "\n```"


class _Parser(MessageParser):
    markers = (BEGIN, CALL)

    def call(self, marker: str) -> Reading[bool]:
        if marker == BEGIN:
            yield from self.space()
            if not (yield from self.starts(CALL)):
                return False
        while True:
            name = yield from self._called()
            if name is None:
                return False
            yield from self.json_value(self.open_call(name))
            for end in ("```", CALL_END):
                yield from self.space()
                yield from self.starts(end)
            self.record()
            yield from self.space()
            if (yield from self.starts(CALL, END)) != CALL:
                return True

    def _called(self) -> Reading[str | None]:
        """Read up to the arguments; None when there is no name."""
        found = yield from self.name(SEPARATOR)
        if found is None:
            return None
        yield from self.space()
        if (yield from self.peek()) in ("{", ""):
            return found[0]
        # That was the call's kind.
        found = yield from self.name("```json", "{")
        if found is None:
            return None
        if found[1] == "{":
            self.put_back("{")
        yield from self.space()
        return found[0]


class DeepSeekSyntax(Syntax):
    """Names and JSON between control tokens."""

    control_tokens = frozenset({BEGIN, END, CALL, CALL_END, SEPARATOR, "<think>", "</think>"})
    reasoning = THINK

    def __init__(self, template: str) -> None:
        self._fenced = "```json" in template

    def parser(self, context: ParsingContext) -> OutputParser:
        """See `Syntax.parser`."""
        return _Parser(context, self.reasoning)

    def calls(self, forced: ForcedCalls, literal: Literal) -> str:
        """See `Syntax.calls`."""
        if self._fenced:
            start, between, end = f"{CALL}function{SEPARATOR}", _FENCE, _FENCE_END + CALL_END
            call = json_call(start, between, end, literal)
            return calls_rule(forced, literal, call, first=BEGIN, between="\n", last=END)
        call = json_call(CALL, SEPARATOR, CALL_END, literal)
        return calls_rule(forced, literal, call, first=BEGIN, last=END)
