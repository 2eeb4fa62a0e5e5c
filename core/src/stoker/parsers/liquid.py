r"""The syntax of LFM 2: `<|tool_call_start|>[f(a="b", c=1), g()]<|tool_call_end|>`.

https://docs.liquid.ai/lfm/key-concepts/tool-use
"""

from __future__ import annotations

from stoker.parser import ForcedCalls, Literal, OutputParser, ParsingContext, Syntax
from stoker.parsers.json_reader import CallKeys
from stoker.parsers.lark import calls_rule, tagged_call
from stoker.parsers.message import THINK, MessageParser
from stoker.parsers.python_call import PythonCall
from stoker.parsers.reader import Reading

START, END = "<|tool_call_start|>", "<|tool_call_end|>"


class _Parser(MessageParser):
    markers = (START,)

    def call(self, marker: str) -> Reading[bool]:
        del marker
        yield from self.space()
        many = yield from self.starts("[")
        yield from self.space()
        if (yield from self.peek()) == "{":
            # Told to, the model writes JSON instead.
            if many:
                self.put_back(many)
            complete = yield from self.call_list(CallKeys())
        else:
            complete = yield from self._calls()
        if complete:
            for text in ("]", END):
                yield from self.space()
                yield from self.starts(text)
        return complete

    def _calls(self) -> Reading[bool]:
        while True:
            found = yield from self.name("(")
            if found is None:
                return False
            yield from PythonCall(self, self.open_call(found[0])).arguments()
            self.record()
            yield from self.space()
            if not (yield from self.starts(",")):
                return True


class LiquidSyntax(Syntax):
    """Calls as Python writes them, between control tokens."""

    control_tokens = frozenset({START, END, "<think>", "</think>"})
    reasoning = THINK

    def parser(self, context: ParsingContext) -> OutputParser:
        """See `Syntax.parser`."""
        return _Parser(context, self.reasoning)

    def calls(self, forced: ForcedCalls, literal: Literal) -> str:
        """See `Syntax.calls`."""
        # Python would have other words for true, false and null; the parser takes both.
        call = tagged_call(
            "", "(", lambda key, _: (f"{key}=", ""), ")", literal, quote=None, separator=", "
        )
        return calls_rule(forced, literal, call, first=f"{START}[", between=", ", last=f"]{END}")
