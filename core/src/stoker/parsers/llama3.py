r"""The syntax of Llama 3.1 and later.

The whole answer is `{"name": "f", "parameters": {"a": 1}}`, after `<|python_tag|>` in some prompts,
and several calls have `;` between them; `<|python_tag|>f.call(a="b")` calls what was built in:
https://github.com/meta-llama/llama-models/blob/main/models/llama3_1/prompt_format.md
"""

from __future__ import annotations

from stoker.parser import ForcedCalls, Literal, OutputParser, ParsingContext, Syntax
from stoker.parsers.json_reader import CallKeys
from stoker.parsers.lark import calls_rule, json_call
from stoker.parsers.message import MessageParser
from stoker.parsers.python_call import PythonCall
from stoker.parsers.reader import Reading

PYTHON_TAG = "<|python_tag|>"
_FUNCTION = "<function="


class _Parser(MessageParser):
    markers = (PYTHON_TAG, _FUNCTION)

    def read(self) -> Reading[None]:
        if self.context.tools:
            self.record()
            yield from self.space()
            if (yield from self.peek()) != "{" or not (yield from self._objects()):
                # Not to be read again as what it is not.
                self.answer(self.recorded())
        yield from super().read()

    def calls_tool(self, name: str) -> bool:
        """An answer in JSON may well have a name in it: nothing else marks a call."""
        return any(tool.name == name for tool in self.context.tools)

    def call(self, marker: str) -> Reading[bool]:
        if marker == _FUNCTION:
            return (yield from self._function())
        yield from self.space()
        if (yield from self.peek()) == "{":
            return (yield from self._objects())
        found = yield from self.name(".call(")
        if found is None:
            return False
        call = PythonCall(self, self.open_call(found[0]))
        yield from call.arguments()
        return True

    def _objects(self) -> Reading[bool]:
        while True:
            if not (yield from self.call_object(CallKeys())):
                return False
            self.record()
            yield from self.space()
            if not (yield from self.starts(";")):
                self.recorded()
                return True
            yield from self.space()
            if (yield from self.peek()) != "{":
                return False

    def _function(self) -> Reading[bool]:
        found = yield from self.name(">")
        if found is None:
            return False
        yield from self.space()
        yield from self.json_value(self.open_call(found[0]))
        yield from self.space()
        yield from self.starts("</function>")
        return True


class LlamaSyntax(Syntax):
    """JSON instead of an answer."""

    control_tokens = frozenset({PYTHON_TAG})

    def parser(self, context: ParsingContext) -> OutputParser:
        """See `Syntax.parser`."""
        return _Parser(context, self.reasoning)

    def calls(self, forced: ForcedCalls, literal: Literal) -> str:
        """See `Syntax.calls`."""
        call = json_call('{"name": "', '", "parameters": ', "}", literal)
        return calls_rule(forced, literal, call, between="; ")
