"""A reader of text that arrives in pieces, for parsers that are written as if it were all there.

A parser is one generator that goes through the text from left to right. Its steps are the methods
below, called by `yield from`; where one needs text that has not come yet, the generator waits.
No step looks at how the text was cut, so any chunking gives the same.
"""

from __future__ import annotations

import abc
import re
from collections.abc import Callable, Generator, Sequence
from typing import TypeVar

from stoker.events import ReasoningDelta, TextDelta, ToolCallDelta
from stoker.parser import Delta, OutputParser, ParsingContext
from stoker.parsers.trimmed import Trimmed

T = TypeVar("T")
Reading = Generator[None, None, T]
"""A part of a parser that gives a `T` when it has read enough."""
Sink = Callable[[str], None]
"""Takes text as it is read."""
_NAME = re.compile(r"[^\s{}\[\]()<>\"'`,;=]+")
MAX_NAME_CHARS = 256


def is_name(text: str) -> bool:
    """Whether a text can be the name of a tool or of a parameter."""
    return len(text) <= MAX_NAME_CHARS and _NAME.fullmatch(text) is not None


def drop(_text: str) -> None:
    """Take text and forget it."""


class ReadingParser(OutputParser):
    """A parser made of one generator, `read`."""

    def __init__(self, context: ParsingContext) -> None:
        self.context = context
        self.reasoning = False
        self._text = ""
        self._ended = False
        self._deltas: list[Delta] = []
        self._call_count = 0
        self._record: list[str] | None = None
        self._answer = Trimmed(lambda text: self._deltas.append(TextDelta(text)))
        self._thought = Trimmed(lambda text: self._deltas.append(ReasoningDelta(text)))
        self._reading = self.read()
        self._running = True
        self._advance()

    @abc.abstractmethod
    def read(self) -> Reading[None]:
        """Read everything. What is left when this returns is the answer's."""

    def feed(self, text: str) -> Sequence[Delta]:
        """See `OutputParser.feed`."""
        self._text += text
        self._advance()
        return self._taken()

    def finish(self) -> Sequence[Delta]:
        """See `OutputParser.finish`."""
        self._ended = True
        self._advance()
        if not self._call_count:
            self._answer.flush()
        return self._taken()

    def _advance(self) -> None:
        if self._running:
            try:
                next(self._reading)
            except StopIteration:
                self._running = False
        if not self._running:
            self.answer(self._text)
            self._text = ""

    def _taken(self) -> list[Delta]:
        deltas, self._deltas = self._deltas, []
        return deltas

    # What comes out.

    def answer(self, text: str) -> None:
        """Say what is the answer's."""
        self._answer.put(text)

    def thought(self, text: str) -> None:
        """Say what is reasoning."""
        self._thought.put(text)

    def end_thought(self) -> None:
        """Reasoning is over: white space between it and the answer belongs to neither."""
        self._thought.forget()
        self._answer.trim()

    @property
    def call_count(self) -> int:
        """How many calls have begun."""
        return self._call_count

    def open_call(self, name: str) -> Sink:
        """Begin a tool call; returns where its arguments go. What was recorded belongs to it."""
        self._record = None
        self._answer.forget()
        number, self._call_count = self._call_count, self._call_count + 1
        self._deltas.append(ToolCallDelta(number, id=self.context.new_id(), name=name))

        def arguments(text: str) -> None:
            if text:
                self._deltas.append(ToolCallDelta(number, arguments=text))

        return arguments

    # What goes in.

    def more(self) -> Reading[bool]:
        """Wait for more text; False when there is none."""
        if self._ended:
            return False
        yield
        return True

    def take(self, count: int) -> str:
        """Take characters that are there."""
        text, self._text = self._text[:count], self._text[count:]
        if self._record is not None:
            self._record.append(text)
        return text

    def put_back(self, text: str) -> None:
        """Give back what was taken last."""
        self._text = text + self._text
        if self._record is not None:
            taken = "".join(self._record)
            self._record = [taken[: len(taken) - len(text)]]

    def record(self) -> None:
        """Remember from now on what is taken."""
        self._record = []

    def recorded(self) -> str:
        """What was taken since `record`, which is forgotten."""
        text = "".join(self._record or ())
        self._record = None
        return text

    def peek(self) -> Reading[str]:
        """The next character, without taking it; empty at the end."""
        while not self._text:
            if not (yield from self.more()):
                return ""
        return self._text[0]

    def name(self, *ends: str) -> Reading[tuple[str, str] | None]:
        """Take a name and the first of some texts behind it, with white space around both.

        Returns:
            The name and the text; None when what comes is no name, or none of the texts follows.
        """
        yield from self.space()
        name = ""
        end = None
        while len(name) <= MAX_NAME_CHARS:
            end = yield from self.starts(*ends)
            if end is not None or not is_name((yield from self.peek())):
                break
            name += self.take(1)
        if end is None:
            yield from self.space()
            end = yield from self.starts(*ends)
        return (name, end) if end is not None and is_name(name) else None

    def space(self) -> Reading[str]:
        """Take white space."""
        taken = ""
        while True:
            rest = self._text.lstrip()
            taken += self.take(len(self._text) - len(rest))
            if rest or not (yield from self.more()):
                return taken

    def starts(self, *options: str) -> Reading[str | None]:
        """Take the one of some texts that comes next; None, and nothing taken, if none does."""
        while True:
            for option in options:
                if self._text.startswith(option):
                    self.take(len(option))
                    return option
            if not any(option.startswith(self._text) for option in options):
                return None
            if not (yield from self.more()):
                return None

    def until(
        self, markers: Sequence[str], sink: Sink, *, cut: Sink | None = None
    ) -> Reading[str | None]:
        """Hand text over up to the first marker, which is taken too.

        Args:
            markers: None may be the beginning of another one.
            sink: Takes the text.
            cut: Takes what the text ends with and a marker begins with; None hands it to `sink`.

        Returns:
            The marker; None when the text has ended without one.
        """
        while True:
            found = min(
                ((place, marker) for marker in markers if (place := self._text.find(marker)) >= 0),
                default=None,
            )
            sure = self._ended and found is not None
            held = len(self._text) if sure else self._uncertain(markers)
            if found is not None and found[0] <= held:
                sink(self.take(found[0]))
                return self.take(len(found[1]))
            sink(self.take(held))
            if not (yield from self.more()):
                (cut or sink)(self.take(len(self._text)))
                return None

    def _uncertain(self, markers: Sequence[str]) -> int:
        """Where the longest end of the text begins that may be the beginning of a marker."""
        text = self._text
        longest = min(max(map(len, markers), default=1) - 1, len(text))
        for place in range(len(text) - longest, len(text)):
            if any(marker.startswith(text[place:]) for marker in markers):
                return place
        return len(text)
