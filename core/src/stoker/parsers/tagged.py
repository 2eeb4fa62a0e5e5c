"""Arguments that stand in tags or in a notation of their own: they become JSON as they arrive."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from stoker.messages import Tool
from stoker.parsers.json_reader import JsonParser
from stoker.parsers.reader import Reading, Sink
from stoker.parsers.value import as_json, is_text


class ArgumentsWriter:
    """Writes an object, member by member."""

    def __init__(self, sink: Sink, tool: Tool | None) -> None:
        properties: Any = tool.parameters.get("properties") if tool is not None else None
        self._properties: Mapping[str, Any] = properties if isinstance(properties, Mapping) else {}
        self._sink = sink
        self._lead = "{"

    def key(self, name: str) -> None:
        """Begin a member."""
        self._sink(f"{self._lead}{json.dumps(name, ensure_ascii=False)}: ")
        self._lead = ", "

    def schema(self, name: str) -> Any:
        """The schema of a member's value; None when there is none."""
        return self._properties.get(name)

    def piece(self, text: str) -> None:
        """Write a piece of a string, between its quotes."""
        self._sink(json.dumps(text, ensure_ascii=False)[1:-1])

    def raw(self, text: str) -> None:
        """Write JSON."""
        self._sink(text)

    def close(self) -> None:
        """End the object."""
        self._sink("{}" if self._lead == "{" else "}")


class TaggedParser(JsonParser):
    """A parser of syntaxes that have a tag around each value."""

    def tool(self, name: str) -> Tool | None:
        """A tool by its name."""
        return next((tool for tool in self.context.tools if tool.name == name), None)

    def value(
        self, writer: ArgumentsWriter, key: str, end: str, *, text: bool | None = None
    ) -> Reading[bool]:
        """Read a value up to its end tag; False when the text ends before that.

        One line end after the first tag and one before the last belong to the tags.

        Args:
            writer: Takes it.
            key: What it is called.
            end: The tag.
            text: Whether it is a string, where the model itself has said so.
        """
        writer.key(key)
        yield from self.starts("\n")
        schema = writer.schema(key)
        if is_text(schema) if text is None else text:
            writer.raw('"')
            held = _LastLineEnd(writer.piece)
            found = yield from self.until((end,), held.put)
            if found is not None:
                writer.raw('"')
            return found is not None
        pieces: list[str] = []
        found = yield from self.until((end,), pieces.append)
        if found is not None:
            writer.raw(as_json("".join(pieces), schema))
        return found is not None


class _LastLineEnd:
    """Hands text on but for a line end at its end."""

    def __init__(self, sink: Sink) -> None:
        self._sink = sink
        self._held = ""

    def put(self, text: str) -> None:
        text = self._held + text
        self._held = "\n" if text.endswith("\n") else ""
        shown = text[: len(text) - len(self._held)]
        if shown:
            self._sink(shown)
