r"""The syntaxes of FunctionGemma and Gemma 4.

`<start_function_call>call:f{a:<escape>text<escape>,b:1}<end_function_call>`, and in Gemma 4
`<|tool_call>call:f{a:<|"|>text<|"|>,b:1}<tool_call|>`:
https://ai.google.dev/gemma/docs/functiongemma/formatting-and-best-practices
"""

from __future__ import annotations

import json
import re

import attrs

from stoker.messages import Tool
from stoker.parser import (
    ForcedCalls,
    Literal,
    OutputParser,
    ParsingContext,
    ReasoningMarks,
    Syntax,
)
from stoker.parsers.lark import calls_rule, properties_of, tagged_call
from stoker.parsers.message import MessageParser
from stoker.parsers.reader import Reading, Sink
from stoker.parsers.value import as_json, is_text

MAX_DEPTH = 64
_BARE = re.compile(r"[^,{}\[\]:<]+")


@attrs.frozen
class _Marks:
    start: str
    end: str
    quote: str


FUNCTION_GEMMA = _Marks("<start_function_call>", "<end_function_call>", "<escape>")
GEMMA_4 = _Marks("<|tool_call>", "<tool_call|>", '<|"|>')
_CHANNEL = ReasoningMarks("<|channel>thought", "\n<channel|>")


class _Parser(MessageParser):
    def __init__(self, context: ParsingContext, marks: ReasoningMarks | None, tags: _Marks) -> None:
        self._tags = tags
        self.markers = (tags.start,)
        super().__init__(context, marks)

    def call(self, marker: str) -> Reading[bool]:
        del marker
        yield from self.space()
        yield from self.starts("call:")
        found = yield from self.name("{")
        if found is None:
            return False
        sink = self.open_call(found[0])
        sink("{")
        if (yield from self._entries(sink, MAX_DEPTH)):
            yield from self.space()
            yield from self.starts(self._tags.end)
        return True

    def _entries(self, sink: Sink, depth: int) -> Reading[bool]:
        """Read an object after its brace; False when the text ends."""
        lead = ""
        while True:
            yield from self.space()
            found = yield from self.starts("}", ",")
            if found == "}":
                sink("}")
                return True
            if found == ",":
                continue
            key = yield from self._key()
            if key is None:
                return False
            sink(f"{lead}{json.dumps(key, ensure_ascii=False)}: ")
            lead = ", "
            if not (yield from self._value(sink, depth)):
                return False

    def _key(self) -> Reading[str | None]:
        key: list[str] = []
        if (yield from self.starts(self._tags.quote)):
            if not (yield from self.until((self._tags.quote,), key.append)):
                return None
            yield from self.space()
            yield from self.starts(":")
        elif not (yield from self.until((":",), key.append)):
            return None
        return "".join(key).strip().strip('"')

    def _value(self, sink: Sink, depth: int) -> Reading[bool]:
        yield from self.space()
        quote = self._tags.quote
        if (yield from self.starts(quote)):
            sink('"')
            found = yield from self.until((quote,), lambda text: sink(_escaped(text)))
            sink('"' if found else "")
            return found is not None
        first = yield from self.peek()
        if first == '"':
            return (yield from self.json_value(sink))
        if first in ("{", "[") and first and depth:
            sink(self.take(1))
            inner = self._entries if first == "{" else self._items
            return (yield from inner(sink, depth - 1))
        return (yield from self._bare(sink))

    def _items(self, sink: Sink, depth: int) -> Reading[bool]:
        """Read a list after its bracket; False when the text ends."""
        lead = ""
        while True:
            yield from self.space()
            found = yield from self.starts("]", ",")
            if found == "]":
                sink("]")
                return True
            if found == ",":
                continue
            sink(lead)
            lead = ", "
            if not (yield from self._value(sink, depth)):
                return False

    def _bare(self, sink: Sink) -> Reading[bool]:
        """A number or a word; what is neither is taken as a string."""
        taken = ""
        while True:
            character = yield from self.peek()
            match = _BARE.match(self._text)
            if match is None or not character:
                break
            taken += self.take(match.end())
        if not taken and character:
            # Something must be taken, lest nothing moves on.
            taken = self.take(1)
        if character:
            sink(as_json(taken.strip()))
        return bool(character)


def _escaped(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)[1:-1]


class GemmaSyntax(Syntax):
    """A notation like JSON without quotes, in tags."""

    def __init__(self, template: str) -> None:
        self._tags = GEMMA_4 if GEMMA_4.start in template else FUNCTION_GEMMA
        tags = self._tags
        self.reasoning = _CHANNEL if "<|channel>" in template else None
        self.control_tokens = frozenset(
            {tags.start, tags.end, tags.quote, "<|channel>", "<channel|>"}
        )

    def parser(self, context: ParsingContext) -> OutputParser:
        """See `Syntax.parser`."""
        return _Parser(context, self.reasoning, self._tags)

    def calls(self, forced: ForcedCalls, literal: Literal) -> str:
        """See `Syntax.calls`."""
        call = tagged_call(
            f"{self._tags.start}call:",
            "{",
            lambda key, _: (f"{key}:", ""),
            f"}}{self._tags.end}",
            literal,
            quote=self._tags.quote,
            separator=",",
        )
        flat = ForcedCalls(tuple(map(_flat, forced.tools)), forced.parallel)
        return calls_rule(flat, literal, call)


def _flat(tool: Tool) -> Tool:
    """A tool with the parameters that JSON and this notation write alike, or that are texts."""
    kept = {
        name: schema
        for name, schema, needed in properties_of(tool)
        if needed or is_text(schema) or _is_plain(schema)
    }
    return attrs.evolve(tool, parameters={**tool.parameters, "properties": kept})


def _is_plain(schema: object) -> bool:
    return isinstance(schema, dict) and schema.get("type") in ("integer", "number", "boolean")
