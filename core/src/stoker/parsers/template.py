"""The automatic syntax: found out from what a chat template writes for a call of the past.

A conversation with two calls of known names and arguments is rendered. What stands before, between
and behind those is the syntax. Three forms are told apart: a JSON object with name and arguments, a
name followed by a JSON object, and a name followed by parameters in tags.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from typing import Any

import attrs

from stoker.parser import (
    ForcedCalls,
    Literal,
    OutputParser,
    ParsingContext,
    ReasoningMarks,
    Syntax,
)
from stoker.parsers.json_reader import CallKeys
from stoker.parsers.lark import calls_rule, json_call, tagged_call
from stoker.parsers.message import THINK, MessageParser
from stoker.parsers.reader import Reading
from stoker.parsers.tagged import ArgumentsWriter, TaggedParser

_NUMBER = re.compile(r":\d+$")
NAMES = ("stokerfirst", "stokersecond")
"""The functions that are called in the conversation that is rendered."""
KEYS = ("stokerkeyone", "stokerkeytwo")
VALUES = ("stokervalueone", "stokervaluetwo")
ARGUMENTS = dict(zip(KEYS, VALUES, strict=True))
"""What both are called with."""


@attrs.frozen
class Form:
    """How calls are written: fixed texts around what changes."""

    start: str
    """Before a call; never empty without white space."""
    end: str
    """Behind a call."""
    first: str = ""
    """Before the first call only."""
    between: str = ""
    """Between two calls only."""
    last: str = ""
    """Behind the last call only."""
    keys: CallKeys | None = None
    """For calls that are one JSON object."""
    after_name: str = ""
    """Between a name and its arguments."""
    parameter: tuple[str, str, str] | None = None
    """Before a parameter's name, before its value and behind that; None for arguments in JSON."""

    numbered: bool = False
    """Whether a call's number stands behind its name, as in `f:0`."""

    @property
    def marker(self) -> str:
        """What a call is known by."""
        return self.start.strip()


def form_of(with_calls: str, without: str) -> Form | None:
    """Find the form of calls.

    Args:
        with_calls: A conversation that ends with two calls, as the template writes it.
        without: The same with an answer instead of the calls.

    Returns:
        The form; None when the template writes calls in none that is known.
    """
    begin = len(_common_prefix(with_calls, without))
    end = _common_suffix(with_calls[begin:], without[begin:])
    text = with_calls[begin : len(with_calls) - len(end)]
    places = [text.find(name) for name in NAMES]
    if min(places) < 0:
        return None
    objects = [_object_around(text, name) for name in NAMES]
    first, second = objects
    if first is not None and second is not None:
        return _json_form(text, first, second)
    return _named_form(text)


def _json_form(text: str, first: tuple[int, int, Any], second: tuple[int, int, Any]) -> Form | None:
    keys = _keys_of(first[2])
    if keys is None:
        return None
    if first[:2] == second[:2]:
        return None
    before, middle, behind = text[: first[0]], text[first[1] : second[0]], text[second[1] :]
    form = _around(before, middle, behind, keys=keys)
    return form if form.marker else None


def _around(before: str, middle: str, behind: str, **fields: Any) -> Form:
    """Tell apart what stands around each call and what stands around all of them."""
    start = _common_suffix(before, middle)
    end = _common_prefix(behind, middle)
    if len(start) + len(end) > len(middle):
        end = middle[: len(middle) - len(start)]
    if not start.strip():
        # Several calls in one pair of marks, as in a list.
        return Form(start=before, end="", between=middle, last=behind, **fields)
    return Form(
        start=start,
        end=end,
        first=before[: len(before) - len(start)],
        between=middle[len(end) : len(middle) - len(start)],
        last=behind[len(end) :],
        **fields,
    )


def _named_form(text: str) -> Form | None:
    pieces = _split(text, NAMES[0], NAMES[1])
    if pieces is None:
        return None
    before, first, second = pieces
    arguments = _object_around(first, KEYS[0])
    others = _object_around(second, KEYS[0])
    if arguments is not None and others is not None:
        after_name, second_name = first[: arguments[0]], second[: others[0]]
        numbered = after_name != second_name
        if numbered and not (after_name := _common_suffix(after_name, second_name)).strip():
            return None
        middle, behind = first[arguments[1] :], second[others[1] :]
        form = _around(before, middle, behind, after_name=after_name, numbered=numbered)
    else:
        parts, more = _tags_of(first), _tags_of(second)
        if parts is None or more is None or parts[:2] != more[:2]:
            return None
        after_name, parameter, middle = parts
        form = _around(before, middle, more[2], after_name=after_name, parameter=parameter)
    return form if form.marker and form.after_name.strip() and not form.between.strip() else None


def _tags_of(text: str) -> tuple[str, tuple[str, str, str], str] | None:
    """What stands behind the name, around each parameter, and behind the last one."""
    pieces = _split(text, KEYS[0], VALUES[0], KEYS[1], VALUES[1])
    if pieces is None:
        return None
    head, before_value, middle, before_second, behind = pieces
    if before_value != before_second:
        return None
    end = _common_prefix(middle, behind)
    before_key = middle[len(end) :]
    if not (before_key and head.endswith(before_key) and end.strip() and before_value.strip()):
        return None
    after_name = head[: len(head) - len(before_key)]
    return after_name, (before_key, before_value, end), behind[len(end) :]


def _split(text: str, *needles: str) -> list[str] | None:
    """The text between needles that stand in this order."""
    pieces = []
    for needle in needles:
        before, found, text = text.partition(needle)
        if not found:
            return None
        pieces.append(before)
    return [*pieces, text]


def _common_prefix(one: str, other: str) -> str:
    """What two texts begin with, without a tag that has begun there and not ended."""
    common = _common(one, other)
    tag = common.rfind("<")
    return common[:tag] if tag > common.rfind(">") else common


def _common_suffix(one: str, other: str) -> str:
    """What two texts end with, without the rest of a tag that began before."""
    common = _common(one[::-1], other[::-1])[::-1]
    end, tag = common.find(">"), common.find("<")
    begun_before = end >= 0 and (tag < 0 or tag > end)
    return common[end + 1 :] if begun_before else common


def _common(one: str, other: str) -> str:
    for place, (first, second) in enumerate(zip(one, other, strict=False)):
        if first != second:
            return one[:place]
    return min(one, other, key=len)


def _object_around(text: str, needle: str) -> tuple[int, int, Any] | None:
    """The smallest JSON object with a needle in it that stands before its arguments' end."""
    place = text.find(needle)
    decoder = json.JSONDecoder()
    start = text.rfind("{", 0, place)
    while start >= 0:
        try:
            value, end = decoder.raw_decode(text, start)
        except (ValueError, RecursionError):
            end = -1
        if end > place and isinstance(value, dict) and KEYS[0] in json.dumps(value):
            return start, end, value
        start = text.rfind("{", 0, start)
    return None


def _keys_of(value: dict[str, Any]) -> CallKeys | None:
    for around in ((), *((key,) for key, inner in value.items() if isinstance(inner, dict))):
        inner = value[around[0]] if around else value
        names = tuple(key for key, member in inner.items() if member in NAMES)
        arguments = tuple(key for key, member in inner.items() if _is_arguments(member))
        if names and arguments:
            return CallKeys(names, arguments, around)
    return None


def _is_arguments(member: Any) -> bool:
    if isinstance(member, str):
        try:
            member = json.loads(member)
        except ValueError:
            return False
    return bool(member == ARGUMENTS)


class _Parser(MessageParser, TaggedParser):
    def __init__(self, context: ParsingContext, marks: ReasoningMarks | None, form: Form) -> None:
        self._form = form
        outer = {form.first.strip(), form.last.strip()} - {"", form.marker}
        self.markers = (form.marker,)
        self.ignored = tuple(text for text in outer if form.marker not in text)
        super().__init__(context, marks)

    def call(self, marker: str) -> Reading[None]:
        form = self._form
        if form.keys is not None:
            before = marker + (yield from self.space())
            read = self.call_object(form.keys)
            if not (yield from read):
                self.answer(before + self.recorded())
                return
            while form.between.strip() and not form.end:
                yield from self.space()
                if not (yield from self.starts(form.between.strip())):
                    break
                yield from self.space()
                if not (yield from self.call_object(form.keys)):
                    self.answer(self.recorded())
                    return
        else:
            yield from self._named(marker)
        for text in (form.end.strip(), form.last.strip()):
            yield from self.space()
            if text:
                yield from self.starts(text)

    def _named(self, marker: str) -> Reading[None]:
        form = self._form
        name: list[str] = []
        self.record()
        found = yield from self.until((form.after_name.strip(),), name.append)
        taken = self.recorded()
        called = "".join(name).strip()
        if form.numbered:
            called = _NUMBER.sub("", called)
        if found is None or not called:
            self.answer(marker + taken)
            return
        yield from self.space()
        sink = self.open_call(called)
        if form.parameter is None:
            yield from self.json_value(sink)
            return
        before_key, before_value, end = (text.strip() for text in form.parameter)
        writer = ArgumentsWriter(sink, self.tool(called))
        while (yield from self.starts(before_key)):
            key: list[str] = []
            if not (yield from self.until((before_value,), key.append)):
                return
            if not (yield from self.value(writer, "".join(key).strip(), end)):
                return
            yield from self.space()
        if (yield from self.peek()) or not form.end.strip():
            writer.close()


class TemplateSyntax(Syntax):
    """A syntax in a form that was found out."""

    def __init__(self, form: Form, template: str) -> None:
        self._form = form
        self.reasoning = THINK if "</think>" in template else None
        texts = (form.first, form.start, form.after_name, form.end, form.between, form.last)
        tags = form.parameter or ()
        self.fixed_texts: Sequence[str] = tuple(
            text.strip() for text in (*texts, *tags, "<think>", "</think>") if text.strip()
        )
        """Control tokens may stand inside these."""
        self.control_tokens = frozenset(self.fixed_texts)

    def parser(self, context: ParsingContext) -> OutputParser:
        """See `Syntax.parser`."""
        return _Parser(context, self.reasoning, self._form)

    def calls(self, forced: ForcedCalls, literal: Literal) -> str:
        """See `Syntax.calls`."""
        form = self._form
        call: Callable[..., Sequence[str]]
        if form.keys is not None:
            return self._json_calls(forced, literal, form, form.keys)
        if form.parameter is None:
            after_name = f":0{form.after_name}" if form.numbered else form.after_name
            call = json_call(form.start, after_name, form.end, literal)
        else:
            before_key, before_value, end = form.parameter
            call = tagged_call(
                form.start,
                form.after_name,
                lambda key: (f"{before_key}{key}{before_value}", end),
                form.end,
                literal,
            )
        return calls_rule(
            forced, literal, call, first=form.first, between=form.between, last=form.last
        )

    @staticmethod
    def _json_calls(forced: ForcedCalls, literal: Literal, form: Form, keys: CallKeys) -> str:
        head, tail = "{", "}"
        if keys.around:
            head, tail = f'{{"{next(iter(keys.around))}": {{', "}}"
        before = f'{head}"{next(iter(keys.names))}": "'
        between = f'", "{next(iter(keys.arguments))}": '
        listed = not form.end and form.between.strip()
        start = "" if listed else form.start
        call = json_call(start + before, between, tail + form.end, literal)
        first = form.first + (form.start if listed else "")
        return calls_rule(forced, literal, call, first=first, between=form.between, last=form.last)
