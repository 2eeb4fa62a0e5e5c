"""A parser of a made-up syntax that keeps every promise: for tests of the kit.

`<think>...</think>` is reasoning, `<call>NAME {...}</call>` a tool call, all else the answer.
"""

from __future__ import annotations

from collections.abc import Sequence

from stoker.events import ReasoningDelta, TextDelta, ToolCallDelta
from stoker.parser import OutputParser
from stoker.testing.parser import Delta, ParsedAnswer

SAMPLES: Sequence[tuple[str, ParsedAnswer]] = (
    ("Just an answer.", ParsedAnswer("Just an answer.")),
    ("<think>Füße? 🙂</think>Yes.", ParsedAnswer("Yes.", "Füße? 🙂")),
    (
        'Wait.<call>look {"a": "<think>"}</call> And <call>go {}</call>',
        ParsedAnswer("Wait. And ", "", (("look", '{"a": "<think>"}'), ("go", "{}"))),
    ),
)


class TagParser(OutputParser):
    """Reads up to the next tag that may come where it is."""

    def __init__(self) -> None:
        self._text = ""
        self._inside: str | None = None
        self._call = ""
        self._calls = 0

    def feed(self, text: str) -> Sequence[Delta]:
        self._text += text
        found: list[Delta] = []
        while (at := self._next_tag()) is not None:
            place, tag = at
            found += self._take(self._text[:place])
            self._text = self._text[place + len(tag) :]
            if tag.startswith("</"):
                found += self._ended()
                self._inside = None
            else:
                self._inside = tag.strip("<>")
        held = self._held(self._text)
        ready, self._text = (
            self._text[: len(self._text) - held],
            self._text[len(self._text) - held :],
        )
        return [*found, *self._take(ready)]

    def finish(self) -> Sequence[Delta]:
        rest, self._text = self._text, ""
        found = [*self._take(rest), *self._ended()]
        self._inside = None
        return found

    def _tags(self) -> tuple[str, ...]:
        return ("<think>", "<call>") if self._inside is None else (f"</{self._inside}>",)

    def _next_tag(self) -> tuple[int, str] | None:
        places = [(self._text.find(tag), tag) for tag in self._tags()]
        return min((item for item in places if item[0] >= 0), default=None)

    def _held(self, text: str) -> int:
        """How much of the end may be the beginning of a tag."""
        return max(
            size for tag in self._tags() for size in range(len(tag)) if text.endswith(tag[:size])
        )

    def _take(self, text: str) -> list[Delta]:
        if self._inside == "call":
            self._call += text
            return []
        if not text:
            return []
        return [ReasoningDelta(text) if self._inside else TextDelta(text)]

    def _ended(self) -> list[Delta]:
        name, space, arguments = self._call.partition(" ")
        self._call = ""
        if not space:
            return [TextDelta(name)] if name else []
        self._calls += 1
        number = self._calls - 1
        return [ToolCallDelta(number, f"call-{number}", name, arguments)]
