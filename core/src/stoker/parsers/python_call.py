"""Calls in Python's notation, `f(a="b", c=[1, 2])`: their arguments become JSON as they arrive."""

from __future__ import annotations

import json

from stoker.parsers.reader import Reading, ReadingParser, Sink
from stoker.parsers.value import as_json, from_python

_OPENING, _CLOSING, _QUOTES = "([{", ")]}", "'\""


class PythonCall:
    """A call whose opening bracket was read."""

    def __init__(self, parser: ReadingParser, sink: Sink) -> None:
        self._parser = parser
        self._sink = sink

    def arguments(self) -> Reading[None]:
        """Read the keyword arguments, and the closing bracket.

        A value that is no literal is a string; what has no keyword ends the call.
        """
        parser = self._parser
        lead = "{"
        while True:
            yield from parser.space()
            found = yield from parser.starts(")", ",")
            if found == ",":
                continue
            if found is None:
                named = yield from parser.name("=")
                if named is None:
                    return
                self._sink(f"{lead}{json.dumps(named[0], ensure_ascii=False)}: ")
                lead = ", "
                code = yield from self._value()
                if not (yield from parser.peek()):
                    return
                self._sink(_written(code.strip()))
                continue
            self._sink("{}" if lead == "{" else "}")
            return

    def _value(self) -> Reading[str]:
        """Take an expression: up to a comma or a closing bracket that are not within it."""
        parser = self._parser
        code = ""
        depth = 0
        while True:
            character = yield from parser.peek()
            if not character or (not depth and character in (",", *_CLOSING)):
                return code
            code += parser.take(1)
            if character in _QUOTES:
                code += yield from self._quoted(character)
            else:
                depth += (character in _OPENING) - (character in _CLOSING)

    def _quoted(self, quote: str) -> Reading[str]:
        parser = self._parser
        code = ""
        while True:
            character = yield from parser.peek()
            if not character:
                return code
            code += parser.take(1)
            if character == quote:
                return code
            if character == "\\" and (yield from parser.peek()):
                code += parser.take(1)


def _written(code: str) -> str:
    # A line may end within quotes here, other than in Python.
    lines = code.replace("\r", "\\r").replace("\n", "\\n") if code[:1] in _QUOTES else code
    return from_python(lines) or as_json(code)
