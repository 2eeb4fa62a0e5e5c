r"""The syntaxes of DeepSeek's models.

V3 and R1 write the kind of each call, its name, and its arguments in a fence of Markdown; V3.1
writes the name and the arguments:
https://huggingface.co/deepseek-ai/DeepSeek-V3.1#toolcall
"""

from __future__ import annotations

from stoker.parser import ForcedCalls, Literal, OutputParser, ParsingContext, Syntax
from stoker.parsers.lark import calls_rule, json_call
from stoker.parsers.message import THINK, MessageParser
from stoker.parsers.reader import Reading, drop

BEGIN, END = "<｜tool▁calls▁begin｜>", "<｜tool▁calls▁end｜>"
CALL, CALL_END, SEPARATOR = "<｜tool▁call▁begin｜>", "<｜tool▁call▁end｜>", "<｜tool▁sep｜>"
_FENCE, _FENCE_END = "\n```json\n", "\n```"


class _Parser(MessageParser):
    markers = (BEGIN, CALL)

    def call(self, marker: str) -> Reading[None]:
        before = marker
        if marker == BEGIN:
            before += yield from self.space()
            if not (yield from self.starts(CALL)):
                self.answer(before)
                return
            before += CALL
        while True:
            self.record()
            head: list[str] = []
            found = yield from self.until((SEPARATOR,), head.append)
            taken = self.recorded()
            if found is None:
                self.answer(before + taken)
                return
            name = "".join(head).strip()
            yield from self.space()
            if (yield from self.peek()) not in ("{", ""):
                # It was the call's kind.
                name = (yield from self._named_later()) or name
            if not name:
                self.answer(before + taken)
                return
            yield from self.json_value(self.open_call(name))
            yield from self.until((CALL_END,), drop)
            yield from self.space()
            if (yield from self.starts(CALL, END)) != CALL:
                return
            before = CALL

    def _named_later(self) -> Reading[str]:
        name: list[str] = []
        found = yield from self.until(("```json", "{"), name.append)
        if found == "{":
            self.put_back(found)
        yield from self.space()
        return "".join(name).strip()


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
