"""The automatic syntax: that of the form in which a chat template writes calls of the past."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from stoker.parser import (
    ForcedCalls,
    Literal,
    OutputParser,
    ParsingContext,
    ReasoningMarks,
    Syntax,
)
from stoker.parsers.form import Form, Parameter
from stoker.parsers.json_reader import CallKeys
from stoker.parsers.lark import calls_rule, json_call, tagged_call
from stoker.parsers.message import THINK, MessageParser
from stoker.parsers.reader import Reading
from stoker.parsers.tagged import ArgumentsWriter, TaggedParser

_NUMBER = re.compile(r":\d+$")


class _Parser(MessageParser, TaggedParser):
    def __init__(self, context: ParsingContext, marks: ReasoningMarks | None, form: Form) -> None:
        self._form = form
        outer = {form.first.strip(), form.last.strip()} - {"", form.marker}
        self.markers = (form.marker,)
        self.ignored = tuple(text for text in outer if form.marker not in text)
        super().__init__(context, marks)

    def call(self, marker: str) -> Reading[bool]:
        del marker
        form = self._form
        if form.after_id and (yield from self.name(form.after_id)) is None:
            return False
        yield from self.space()
        if form.keys is None:
            complete = yield from self._named(form)
        elif form.listed:
            complete = yield from self._list(form, form.keys)
        else:
            complete = yield from self.call_object(form.keys)
        if not complete:
            return False
        for text in (form.end.strip(), form.last.strip()):
            yield from self.space()
            if text:
                yield from self.starts(text)
        return True

    def _list(self, form: Form, keys: CallKeys) -> Reading[bool]:
        """Read calls with a text or white space between them."""
        between = form.between.strip()
        while True:
            if not (yield from self.call_object(keys)):
                return False
            self.record()
            yield from self.space()
            if between:
                if not (yield from self.starts(between)):
                    return True
                yield from self.space()
            elif (yield from self.peek()) != "{":
                return True

    def _named(self, form: Form) -> Reading[bool]:
        found = yield from self.name(form.after_name.strip())
        if found is None:
            return False
        called = _NUMBER.sub("", found[0]) if form.numbered else found[0]
        yield from self.space()
        if form.parameter is not None:
            yield from self._parameters(called, form.parameter, ended=bool(form.end.strip()))
            return True
        if (yield from self.peek()) not in ("{", ""):
            return False
        yield from self.json_value(self.open_call(called))
        return True

    def _parameters(self, called: str, form: Parameter, *, ended: bool) -> Reading[None]:
        writer = ArgumentsWriter(self.open_call(called), self.tool(called))
        text, other = form.before_value.strip(), form.before_other.strip()
        while (yield from self.starts(form.before_key.strip())):
            found = yield from self.name(text, other)
            if found is None:
                return
            key, before = found
            is_text = before == text if text != other else None
            if not (yield from self.value(writer, key, form.end.strip(), text=is_text)):
                return
            yield from self.space()
        if (yield from self.peek()) or not ended:
            writer.close()


class TemplateSyntax(Syntax):
    """A syntax in a form that was found out."""

    def __init__(self, form: Form, template: str) -> None:
        self._form = form
        self.reasoning = THINK if "</think>" in template else None
        texts = (form.first, form.marker, form.after_id, form.after_name)
        more = (form.end, form.between, form.last)
        tag = form.parameter
        tags = (tag.before_key, tag.before_value, tag.before_other, tag.end) if tag else ()
        self.fixed_texts: Sequence[str] = tuple(
            text.strip() for text in (*texts, *more, *tags, "<think>", "</think>") if text.strip()
        )
        """Control tokens may stand inside these."""
        self.control_tokens = frozenset(self.fixed_texts)

    def parser(self, context: ParsingContext) -> OutputParser:
        """See `Syntax.parser`."""
        return _Parser(context, self.reasoning, self._form)

    def calls(self, forced: ForcedCalls, literal: Literal) -> str:
        """See `Syntax.calls`."""
        form = self._form
        if form.single:
            forced = ForcedCalls(forced.tools, parallel=False)
        call: Callable[..., Sequence[str]]
        start = "" if form.listed else form.start
        first = form.first + (form.start if form.listed else "")
        if form.keys is not None:
            before, between, after = _object_texts(form.keys)
            call = json_call(start + before, between, after + form.end, literal)
        elif form.parameter is None:
            after_name = f":0{form.after_name}" if form.numbered else form.after_name
            call = json_call(start, after_name, form.end, literal)
        else:
            call = tagged_call(start, form.after_name, _tags(form.parameter), form.end, literal)
        return calls_rule(forced, literal, call, first=first, between=form.between, last=form.last)


def _object_texts(keys: CallKeys) -> tuple[str, str, str]:
    """What stands before a name, before the arguments, and behind them."""
    if not keys.names:
        return '{"', '": ', "}"
    head, tail = "{", "}"
    if keys.around:
        head, tail = f'{{"{next(iter(keys.around))}": {{', "}}"
    between = f'", "{next(iter(keys.arguments))}": '
    return f'{head}"{next(iter(keys.names))}": "', between, tail


def _tags(form: Parameter) -> Callable[[str, bool], tuple[str, str]]:
    def around(key: str, is_text: bool) -> tuple[str, str]:
        before_value = form.before_value if is_text else form.before_other
        return f"{form.before_key}{key}{before_value}", form.end

    return around
