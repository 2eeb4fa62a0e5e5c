r"""The syntax of gpt-oss: messages in channels.

`<|channel|>analysis<|message|>...<|end|><|start|>assistant<|channel|>final<|message|>...`, and a
call is a message to a function, with the header `commentary to=functions.f <|constrain|>json`:
https://cookbook.openai.com/articles/openai-harmony
"""

from __future__ import annotations

import re

from stoker.parser import (
    ForcedCalls,
    Literal,
    OutputParser,
    ParsingContext,
    ReasoningMarks,
    Syntax,
)
from stoker.parsers.json_reader import JsonParser
from stoker.parsers.lark import calls_rule, json_call
from stoker.parsers.reader import Reading, drop, is_name

START, CHANNEL, MESSAGE = "<|start|>", "<|channel|>", "<|message|>"
END, CALL, RETURN, CONSTRAIN = "<|end|>", "<|call|>", "<|return|>", "<|constrain|>"
_ENDS = (END, CALL, RETURN, START)
_RECIPIENT = re.compile(r"\bto=(?:functions\.)?([^\s<]+)")
_CHANNEL_NAME = re.compile(rf"{re.escape(CHANNEL)}\s*(\w+)")
_MARKS = ReasoningMarks(f"{CHANNEL}analysis{MESSAGE}", END, f"{START}assistant")


class _Parser(JsonParser):
    _has_thought = False
    _has_answered = False

    def read(self) -> Reading[None]:
        if _MARKS.begun_in(self.context.prompt):
            yield from self._thinking()
        while True:
            yield from self.space()
            if not (yield from self.peek()):
                return
            yield from self._message()

    def _message(self) -> Reading[None]:
        self.record()
        # A message that has no header is the answer of a model that forgot the syntax.
        begins = (START, CHANNEL, "assistant", "to=", "<|")
        if (yield from self.starts(*begins)) is None:
            yield from self._answering()
            return
        found = yield from self.until((MESSAGE, END, CALL, RETURN), drop)
        header = self.recorded()
        if found != MESSAGE:
            if found is None and CHANNEL not in header and START not in header:
                self.answer(header)
            return
        channel = _CHANNEL_NAME.search(header)
        recipient = _RECIPIENT.search(header)
        if recipient is not None and self.context.tools and is_name(recipient[1]):
            yield from self.until(_ENDS, self.open_call(recipient[1]))
        elif channel is not None and channel[1] == "analysis":
            yield from self._thinking()
        else:
            yield from self._answering()

    def _thinking(self) -> Reading[None]:
        self.reasoning = True
        # Messages that follow each other in one channel have nothing between them.
        self.thought("\n" if self._has_thought else "")
        self._has_thought = True
        yield from self.until(_ENDS, self.thought)
        self.reasoning = False

    def _answering(self) -> Reading[None]:
        self.answer("\n" if self._has_answered else "")
        self._has_answered = True
        yield from self.until(_ENDS, self.answer)


class HarmonySyntax(Syntax):
    """Messages in channels."""

    control_tokens = frozenset({START, CHANNEL, MESSAGE, END, CALL, RETURN, CONSTRAIN})
    reasoning = _MARKS
    answer_lead = f"{CHANNEL}final{MESSAGE}"

    def parser(self, context: ParsingContext) -> OutputParser:
        """See `Syntax.parser`."""
        return _Parser(context)

    def calls(self, forced: ForcedCalls, literal: Literal) -> str:
        """See `Syntax.calls`."""
        single = ForcedCalls(forced.tools, parallel=False)
        call = json_call(
            f"{CHANNEL}commentary to=functions.", f" {CONSTRAIN}json{MESSAGE}", "", literal
        )
        return calls_rule(single, literal, call)
