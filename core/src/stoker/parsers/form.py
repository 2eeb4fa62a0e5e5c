"""Forms: how a chat template writes calls, found out from calls that are known.

What stands before, between and behind known names and arguments is the form. Four are told apart:
a JSON object with name and arguments, one whose key is the name, a name followed by a JSON object,
and a name followed by parameters in tags.
"""

from __future__ import annotations

import json
from typing import Any

import attrs

from stoker.parsers.json_reader import CallKeys

NAMES = ("stokerfirst", "stokersecond")
"""The functions that are called in the conversation that is rendered."""
IDS = ("call00000", "call00001")
"""The ids of the calls; some templates take no others than such."""
KEYS = ("stokerkeyone", "stokerkeytwo", "stokerkeythree")
VALUES = ("stokervalueone", "stokervaluetwo", 471147)
ARGUMENTS = dict(zip(KEYS, VALUES, strict=True))
"""What both are called with."""


@attrs.frozen
class Parameter:
    """What stands around a parameter in tags."""

    before_key: str
    before_value: str
    end: str
    before_other: str
    """Before a value that is no string; often the same as `before_value`."""


@attrs.frozen
class Form:
    """How calls are written: fixed texts around what changes."""

    start: str
    """Before a call; never empty without white space. An id in it is that of the first call."""
    end: str
    """Behind a call."""
    first: str = ""
    """Before the first call only."""
    between: str = ""
    """Between two calls only."""
    last: str = ""
    """Behind the last call only."""
    listed: bool = False
    """Whether calls after the first one have no start of their own."""
    single: bool = False
    """Whether there is one call at most."""
    keys: CallKeys | None = None
    """For calls that are one JSON object."""
    after_name: str = ""
    """Between a name and its arguments."""
    parameter: Parameter | None = None
    """None for arguments in JSON."""
    numbered: bool = False
    """Whether a call's number stands behind its name, as in `f:0`."""

    @property
    def marker(self) -> str:
        """What a call is known by."""
        return self.start.partition(IDS[0])[0].strip()

    @property
    def after_id(self) -> str:
        """What stands between a call's id and its name; empty when calls have no ids there."""
        return self.start.partition(IDS[0])[2].strip()


def form_of(with_calls: str, without: str) -> Form | None:
    """Find the form of calls.

    Args:
        with_calls: A conversation that ends with two calls, or with one, as the template writes it.
        without: The same with an answer instead of the calls.

    Returns:
        The form; None when the template writes calls in none that is known.
    """
    begin = len(_common_prefix(with_calls, without))
    end = _common_suffix(with_calls[begin:], without[begin:])
    text = with_calls[begin : len(with_calls) - len(end)].replace(IDS[1], IDS[0])
    if NAMES[0] not in text:
        return None
    single = NAMES[1] not in text
    first = _object_around(text, NAMES[0])
    second = None if single else _object_around(text, NAMES[1])
    if first is None or (second is None and not single):
        return _named_form(text, single=single)
    return _json_form(text, first, second)


def _json_form(
    text: str, first: tuple[int, int, Any], second: tuple[int, int, Any] | None
) -> Form | None:
    keys = _keys_of(first[2])
    if keys is None or (second is not None and first[:2] == second[:2]):
        return None
    before = text[: first[0]]
    if second is None:
        form = Form(before, text[first[1] :], single=True, keys=keys)
    else:
        form = _around(before, text[first[1] : second[0]], text[second[1] :], keys=keys)
    return form if form.marker else None


def _around(before: str, middle: str, behind: str, **fields: Any) -> Form:
    """Tell apart what stands around each call and what stands around all of them."""
    start = _common_suffix(before, middle)
    end = _common_prefix(behind, middle)
    if len(start) + len(end) > len(middle):
        end = middle[: len(middle) - len(start)]
    if not start.strip():
        # Several calls in one pair of marks, as in a list.
        return Form(start=before, end="", between=middle, last=behind, listed=True, **fields)
    return Form(
        start=start,
        end=end,
        first=before[: len(before) - len(start)],
        between=middle[len(end) : len(middle) - len(start)],
        last=behind[len(end) :],
        **fields,
    )


def _named_form(text: str, *, single: bool) -> Form | None:
    pieces = _split(text, *NAMES[: 1 if single else 2])
    if pieces is None:
        return None
    before, first, second = (*pieces, "")[:3]
    form: Form | None
    if single:
        form = _one_named(before, first)
    elif _object_around(first, KEYS[0]) is not None:
        form = _with_objects(before, first, second)
    else:
        form = _with_tags(before, first, second)
    fits = form is not None and form.marker and form.after_name.strip() and not form.between.strip()
    return form if fits else None


def _one_named(before: str, text: str) -> Form | None:
    arguments = _object_around(text, KEYS[0])
    if arguments is not None:
        after_name, end = text[: arguments[0]], text[arguments[1] :]
        return Form(before, end, single=True, after_name=after_name)
    parts = _tags_of(text)
    if parts is None:
        return None
    return Form(before, parts[2], single=True, after_name=parts[0], parameter=parts[1])


def _with_objects(before: str, first: str, second: str) -> Form | None:
    arguments, others = _object_around(first, KEYS[0]), _object_around(second, KEYS[0])
    if arguments is None or others is None:
        return None
    after_name, second_name = first[: arguments[0]], second[: others[0]]
    numbered = after_name != second_name
    if numbered and not (after_name := _common_suffix(after_name, second_name)).strip():
        return None
    middle, behind = first[arguments[1] :], second[others[1] :]
    return _around(before, middle, behind, after_name=after_name, numbered=numbered)


def _with_tags(before: str, first: str, second: str) -> Form | None:
    parts, more = _tags_of(first), _tags_of(second)
    if parts is None or more is None or parts[:2] != more[:2]:
        return None
    after_name, parameter, middle = parts
    return _around(before, middle, more[2], after_name=after_name, parameter=parameter)


def _tags_of(text: str) -> tuple[str, Parameter, str] | None:
    """What stands behind the name, around each parameter, and behind the last one."""
    words = [str(word) for pair in ARGUMENTS.items() for word in pair]
    pieces = _split(text, *words)
    if pieces is None:
        return None
    head, before_value, middle, before_second, other_middle, before_other, behind = pieces
    if before_value != before_second or middle != other_middle:
        return None
    end = _common_prefix(middle, behind)
    before_key = middle[len(end) :]
    fits = before_key and head.endswith(before_key) and end.strip() and before_value.strip()
    if not fits or not before_other.strip():
        return None
    after_name = head[: len(head) - len(before_key)]
    parameter = Parameter(before_key, before_value, end, before_other)
    return after_name, parameter, behind[len(end) :]


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
    if list(value) == [NAMES[0]]:
        return CallKeys((), (), ()) if _is_arguments(value[NAMES[0]]) else None
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
