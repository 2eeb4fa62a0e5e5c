r"""The syntax of Qwen3-Coder, which Qwen 3.5, Nemotron 3 and others write, too.

`<tool_call>\n<function=f>\n<parameter=a>\n1\n</parameter>\n</function>\n</tool_call>`:
https://huggingface.co/Qwen/Qwen3-Coder-480B-A35B-Instruct/blob/main/qwen3coder_tool_parser.py
"""

from __future__ import annotations

from stoker.parser import ForcedCalls, Literal, OutputParser, ParsingContext, Syntax
from stoker.parsers.json_reader import CallKeys
from stoker.parsers.lark import calls_rule, tagged_call
from stoker.parsers.message import THINK, MessageParser
from stoker.parsers.reader import Reading
from stoker.parsers.tagged import ArgumentsWriter, TaggedParser

START, END = "<tool_call>", "</tool_call>"
_FUNCTION, _FUNCTION_END = "<function=", "</function>"
_PARAMETER, _PARAMETER_END = "<parameter=", "</parameter>"


class _Parser(MessageParser, TaggedParser):
    markers = (START, _FUNCTION)

    def call(self, marker: str) -> Reading[bool]:
        if marker == START:
            yield from self.space()
            if (yield from self.peek()) == "{":
                # Smaller ones fall back into the older syntax.
                if not (yield from self.call_list(CallKeys())):
                    return False
                yield from self._end()
                return True
            if not (yield from self.starts(_FUNCTION)):
                return False
        found = yield from self.name(">")
        if found is None:
            return False
        yield from self._parameters(found[0])
        return True

    def _parameters(self, called: str) -> Reading[None]:
        writer = ArgumentsWriter(self.open_call(called), self.tool(called))
        yield from self.space()
        while (yield from self.starts(_PARAMETER)):
            key: list[str] = []
            if not (yield from self.until((">",), key.append)):
                return
            if not (yield from self.value(writer, "".join(key).strip(), _PARAMETER_END)):
                return
            yield from self.space()
        if not (yield from self.peek()):
            return
        writer.close()
        yield from self.starts(_FUNCTION_END)
        yield from self._end()

    def _end(self) -> Reading[None]:
        yield from self.space()
        yield from self.starts(END)


class Qwen3CoderSyntax(Syntax):
    """Tags around each parameter."""

    control_tokens = frozenset({START, END, "<think>", "</think>"})
    reasoning = THINK

    def parser(self, context: ParsingContext) -> OutputParser:
        """See `Syntax.parser`."""
        return _Parser(context, self.reasoning)

    def calls(self, forced: ForcedCalls, literal: Literal) -> str:
        """See `Syntax.calls`."""
        call = tagged_call(
            f"{START}\n{_FUNCTION}",
            ">\n",
            lambda key, _: (f"{_PARAMETER}{key}>\n", f"\n{_PARAMETER_END}\n"),
            f"{_FUNCTION_END}\n{END}",
            literal,
        )
        return calls_rule(forced, literal, call, between="\n")
