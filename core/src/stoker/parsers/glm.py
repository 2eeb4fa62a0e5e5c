r"""The syntax of GLM 4.5 and later.

`<tool_call>f\n<arg_key>a</arg_key>\n<arg_value>1</arg_value>\n</tool_call>`:
https://huggingface.co/zai-org/GLM-4.6/blob/main/chat_template.jinja
"""

from __future__ import annotations

from stoker.parser import ForcedCalls, Literal, OutputParser, ParsingContext, Syntax
from stoker.parsers.lark import calls_rule, tagged_call
from stoker.parsers.message import THINK, MessageParser
from stoker.parsers.reader import Reading
from stoker.parsers.tagged import ArgumentsWriter, TaggedParser

START, END = "<tool_call>", "</tool_call>"
_KEY, _KEY_END = "<arg_key>", "</arg_key>"
_VALUE, _VALUE_END = "<arg_value>", "</arg_value>"


class _Parser(MessageParser, TaggedParser):
    markers = (START,)

    def call(self, marker: str) -> Reading[bool]:
        del marker
        found = yield from self.name(_KEY, END)
        if found is None:
            return False
        name, end = found
        writer = ArgumentsWriter(self.open_call(name), self.tool(name))
        while end == _KEY:
            key: list[str] = []
            if not (yield from self.until((_KEY_END,), key.append)):
                return True
            yield from self.space()
            yield from self.starts(_VALUE)
            if not (yield from self.value(writer, "".join(key).strip(), _VALUE_END)):
                return True
            yield from self.space()
            next_end = yield from self.starts(_KEY, END)
            if next_end is None and not (yield from self.peek()):
                return True
            end = next_end or END
        writer.close()
        return True


class GlmSyntax(Syntax):
    """Tags around each key and each value."""

    control_tokens = frozenset(
        {START, END, _KEY, _KEY_END, _VALUE, _VALUE_END, "<think>", "</think>"}
    )
    reasoning = THINK

    def parser(self, context: ParsingContext) -> OutputParser:
        """See `Syntax.parser`."""
        return _Parser(context, self.reasoning)

    def calls(self, forced: ForcedCalls, literal: Literal) -> str:
        """See `Syntax.calls`."""
        call = tagged_call(
            START,
            "\n",
            lambda key, _: (f"{_KEY}{key}{_KEY_END}\n{_VALUE}", f"{_VALUE_END}\n"),
            END,
            literal,
        )
        return calls_rule(forced, literal, call, between="\n")
