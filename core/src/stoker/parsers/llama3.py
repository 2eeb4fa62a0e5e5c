r"""The syntax of Llama 3.1 and later.

The whole answer is `{"name": "f", "parameters": {"a": 1}}`, after `<|python_tag|>` in some prompts,
and several calls have `;` between them; `<|python_tag|>f.call(a="b")` calls what was built in:
https://github.com/meta-llama/llama-models/blob/main/models/llama3_1/prompt_format.md
"""

from __future__ import annotations

import ast
import json
import re

from stoker.parser import ForcedCalls, Literal, OutputParser, ParsingContext, Syntax
from stoker.parsers.json_reader import CallKeys
from stoker.parsers.lark import calls_rule, json_call
from stoker.parsers.message import MessageParser
from stoker.parsers.reader import Reading

PYTHON_TAG = "<|python_tag|>"
_FUNCTION = "<function="
_BUILT_IN = re.compile(r"(\w+)\.call\((.*)\)\s*", re.DOTALL)


class _Parser(MessageParser):
    markers = (PYTHON_TAG, _FUNCTION)

    def read(self) -> Reading[None]:
        if self.context.tools:
            self.record()
            before = yield from self.space()
            self.recorded()
            if (yield from self.peek()) == "{":
                yield from self._objects(before)
            else:
                self.answer(before)
        yield from super().read()

    def call(self, marker: str) -> Reading[None]:
        if marker == _FUNCTION:
            yield from self._function(marker)
            return
        before = marker + (yield from self.space())
        if (yield from self.peek()) == "{":
            yield from self._objects(before)
            return
        code: list[str] = []
        yield from self.until((), code.append)
        self._built_in(before, "".join(code))

    def _objects(self, before: str) -> Reading[None]:
        while True:
            if not (yield from self.call_object(CallKeys())):
                self.answer(before + self.recorded())
                return
            before = yield from self.space()
            if not (yield from self.starts(";")):
                return
            before = ";" + (yield from self.space())
            if (yield from self.peek()) != "{":
                self.answer(before)
                return

    def _function(self, marker: str) -> Reading[None]:
        name: list[str] = []
        if not (yield from self.until((">",), name.append)):
            self.answer(marker + "".join(name))
            return
        sink = self.open_call("".join(name).strip())
        yield from self.space()
        yield from self.json_value(sink)
        yield from self.space()
        yield from self.starts("</function>")

    def _built_in(self, before: str, code: str) -> None:
        match = _BUILT_IN.fullmatch(code)
        arguments = _arguments(match[2]) if match else None
        if match is None or arguments is None:
            self.answer(before + code)
        else:
            self.open_call(match[1])(json.dumps(arguments, ensure_ascii=False))


def _arguments(code: str) -> dict[str, object] | None:
    """The keyword arguments of a call, when all of them are plain values."""
    try:
        call = ast.parse(f"f({code})", mode="eval").body
        if not isinstance(call, ast.Call) or call.args:
            return None
        return {str(word.arg): ast.literal_eval(word.value) for word in call.keywords if word.arg}
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None


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
