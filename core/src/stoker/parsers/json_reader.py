"""Reading JSON as it arrives: values are handed on as the model wrote them."""

from __future__ import annotations

import json
import re
from collections.abc import Collection

import attrs

from stoker.parsers.reader import Reading, ReadingParser, Sink, drop, is_name

_STRING_PART = re.compile(r'[^"\\]+')
# No JSON has an angle bracket outside of strings, and most syntaxes' marks begin with one.
_OUTSIDE = re.compile(r'[^"{}\[\]<]+')
_SCALAR = re.compile(r"[-+.\w]+")
_CLOSERS = {"{": "}", "[": "]"}


@attrs.frozen
class CallKeys:
    """What the members of an object are called that is a tool call."""

    names: Collection[str] = ("name",)
    """None where the name is itself the key of its arguments, as in `{"f": {"a": 1}}`."""
    arguments: Collection[str] = ("arguments", "parameters")
    around: Collection[str] = ("function",)
    """Members whose value is an object with the other two."""


class JsonParser(ReadingParser):
    """A parser of syntaxes that have JSON in them."""

    def json_value(self, sink: Sink) -> Reading[bool]:  # noqa: C901 - a case per character
        """Hand a value on as it is written.

        Returns:
            Whether it is there to its end. A text that is no JSON ends where it stops being that.
        """
        first = yield from self.peek()
        if first == '"':
            return (yield from self._string(sink))
        if first not in _CLOSERS or not first:
            return (yield from self._scalar(sink))
        closers: list[str] = []
        while True:
            character = yield from self.peek()
            if not character:
                return False
            if character == '"':
                if not (yield from self._string(sink)):
                    return False
                continue
            if character in _CLOSERS:
                closers.append(_CLOSERS[character])
            elif character in "}]":
                if closers.pop() != character:
                    return False
                if not closers:
                    sink(self.take(1))
                    return True
            else:
                match = _OUTSIDE.match(self._text)
                if match is None:
                    return False
                sink(self.take(match.end()))
                continue
            sink(self.take(1))

    def _string(self, sink: Sink) -> Reading[bool]:
        sink(self.take(1))
        while True:
            character = yield from self.peek()
            if not character:
                return False
            if character == "\\":
                while len(self._text) < 2:  # noqa: PLR2004 - an escape is a pair
                    if not (yield from self.more()):
                        return False
                sink(self.take(2))
            elif character == '"':
                sink(self.take(1))
                return True
            else:
                match = _STRING_PART.match(self._text)
                sink(self.take(match.end() if match else 1))

    def _scalar(self, sink: Sink) -> Reading[bool]:
        """A number or a word; whether it is complete shows by what follows."""
        found = False
        while True:
            character = yield from self.peek()
            match = _SCALAR.match(self._text)
            if not character or match is None:
                return found and bool(character)
            sink(self.take(match.end()))
            found = True

    def json_string(self) -> Reading[str | None]:
        """Take a string; None when there is none, or one that is not complete or not valid."""
        if (yield from self.peek()) != '"':
            return None
        pieces: list[str] = []
        if not (yield from self._string(pieces.append)):
            return None
        try:
            value = str(json.loads("".join(pieces), strict=False))
        except ValueError:
            return None
        # An escape can stand for half of a character, which no text may have.
        return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")

    def calls_tool(self, name: str) -> bool:
        """Whether an object with a name is a call."""
        return is_name(name)

    def call_object(self, keys: CallKeys) -> Reading[bool]:
        """Read an object that is a tool call.

        Returns:
            Whether it is one; one that breaks off after its name stays one.
        """
        call = _Call(self)
        complete = yield from self._members(keys, call)
        if call.sink is None:
            return False
        if complete and not call.has_arguments:
            call.sink("{}")
        return True

    def _members(self, keys: CallKeys, call: _Call) -> Reading[bool]:
        """Read an object; False when it is none or breaks off."""
        if not (yield from self.starts("{")):
            return False
        while True:
            yield from self.space()
            if (yield from self.starts("}", ",")) == "}":
                return True
            yield from self.space()
            key = yield from self.json_string()
            yield from self.space()
            if key is None or not (yield from self.starts(":")):
                return False
            yield from self.space()
            if not (yield from self._member(key, keys, call)):
                return False

    def _member(self, key: str, keys: CallKeys, call: _Call) -> Reading[bool]:
        first = yield from self.peek()
        if not keys.names:
            if call.sink is not None or first != "{" or not self.calls_tool(key):
                return False
            call.begin(key)
            call.has_arguments = True
            return (yield from self.json_value(call.put))
        if key in keys.names and call.sink is None and first == '"':
            name = (yield from self.json_string()) or ""
            if not self.calls_tool(name):
                return False
            call.begin(name)
            return True
        if key in keys.arguments and not call.has_arguments:
            if first == "{":
                call.has_arguments = True
                return (yield from self.json_value(call.put))
            if first == '"':
                # Some models write the object once more as a string.
                text = yield from self.json_string()
                call.has_arguments = text is not None
                call.put(text or "")
                return text is not None
        if key in keys.around and first == "{":
            return (yield from self._members(keys, call))
        return (yield from self.json_value(drop))

    def call_list(self, keys: CallKeys) -> Reading[bool]:
        """Read a list of calls, or a single one.

        Returns:
            Whether it is that. If not, what is recorded is the part of it that is none.
        """
        many = yield from self.starts("[")
        yield from self.space()
        while True:
            if (yield from self.peek()) != "{" or not (yield from self.call_object(keys)):
                return False
            self.record()
            yield from self.space()
            if not many or not (yield from self.starts(",")):
                break
            yield from self.space()
            if (yield from self.peek()) == "]":
                break
        if many:
            yield from self.starts("]")
        return True


class _Call:
    """A call that is being read."""

    def __init__(self, parser: JsonParser) -> None:
        self._parser = parser
        self._held = ""
        self.sink: Sink | None = None
        self.has_arguments = False

    def begin(self, name: str) -> None:
        self.sink = self._parser.open_call(name)
        self.sink(self._held)

    def put(self, text: str) -> None:
        if self.sink is None:
            # The name may come after the arguments.
            self._held += text
        else:
            self.sink(text)
