"""The common form of an answer: reasoning, then text with calls in it that begin with a marker."""

from __future__ import annotations

import abc

from stoker.parser import ParsingContext, ReasoningMarks
from stoker.parsers.json_reader import JsonParser
from stoker.parsers.reader import Reading, drop

_MAX_READ_AGAIN_CHARS = 1024
THINK = ReasoningMarks("<think>", "\n</think>", "\n\n")
"""What most models write around their reasoning."""


class MessageParser(JsonParser):
    """A parser of answers of the common form.

    What follows a marker and is no call is text: the marker is the answer's, and reading goes on
    right behind it, for there may be a call in what was taken for one.

    Attributes:
        markers: Texts that begin a call. None may be the beginning of another one.
        ignored: Texts between the parts of an answer that belong to none of them.
    """

    markers: tuple[str, ...] = ()
    ignored: tuple[str, ...] = ()

    def __init__(self, context: ParsingContext, marks: ReasoningMarks | None) -> None:
        self.marks = marks
        super().__init__(context)

    def read(self) -> Reading[None]:
        """See `ReadingParser.read`."""
        yield from self.thinking()
        markers = self.markers if self.context.tools else ()
        while True:
            # A mark that breaks off behind a call would have been that of another one.
            cut = drop if self.call_count else self.answer
            marker = yield from self.until((*markers, *self.ignored), self.answer, cut=cut)
            if marker is None:
                return
            if marker not in self.ignored:
                yield from self._call(marker)

    @abc.abstractmethod
    def call(self, marker: str) -> Reading[bool]:
        """Read what follows a marker, up to the end of the call or calls.

        Returns:
            Whether that was calls. If not, what was recorded is text: everything since the
            marker, or since the last `record`; `open_call` forgets it.
        """

    def _call(self, marker: str) -> Reading[None]:
        calls = self.call_count
        self.record()
        complete = yield from self.call(marker)
        taken = self.recorded()
        if complete:
            return
        if calls == self.call_count:
            self.answer(marker)
        self.read_again(taken)

    def read_again(self, taken: str) -> None:
        """Give back what turned out to be no call."""
        # Only so much, lest a text that is nothing but markers is read over and over.
        if len(taken) <= _MAX_READ_AGAIN_CHARS:
            self.put_back(taken)
        else:
            self.answer(taken)

    def thinking(self) -> Reading[None]:
        """Read the reasoning, if there is any."""
        marks = self.marks
        if marks is None:
            return
        self.reasoning = marks.begun_in(self.context.prompt)
        if not self.reasoning:
            self.record()
            yield from self.space()
            self.reasoning = bool((yield from self.starts(marks.start.strip())))
            before = self.recorded()
            if not self.reasoning:
                self.answer(before)
                return
        self._thought.trim()
        yield from self.until((marks.closed_by,), self.thought)
        self.reasoning = False
        self.end_thought()
