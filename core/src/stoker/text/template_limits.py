"""The limits of chat templates: how much time and memory one rendering may take."""

from __future__ import annotations

import re
import string
import time
from collections.abc import Mapping, Sequence
from typing import Any

import attrs

MAX_RENDER_S = 5.0
MAX_WEIGHT = 16 * 2**20
"""Most characters of a rendered prompt, or of any value on the way there."""
MAX_WORK = 64 * MAX_WEIGHT
"""Most characters that one rendering may build and copy in all."""
_ITEM_WEIGHT = 16
"""What an item of a container weighs beside its text: a million items at most."""
_MAX_INTEGER_BITS = 4096
_MAX_WIDTH = 1000
"""Most columns to which something may be padded or indented."""

_WIDE_PERCENT_FORMAT = re.compile(r"%[^a-zA-Z%]*(?:\*|\d{4})")
_WIDE_FORMAT_SPEC = re.compile(r"\{|\d{4}")


class TemplateLimitError(Exception):
    """The template wants more time or memory than a template gets."""


@attrs.define
class Meter:
    """What one rendering may still use."""

    deadline_s: float
    work: int = MAX_WORK

    def tick(self) -> None:
        """Look at the clock."""
        if time.monotonic() > self.deadline_s:
            raise TemplateLimitError(f"it takes longer than {MAX_RENDER_S:g} seconds")

    def spend(self, size: int) -> None:
        """Pay for a value that was built or copied."""
        self.work -= size
        if self.work < 0:
            raise TemplateLimitError(f"it builds more than {MAX_WORK} characters")


def built_size(value: Any) -> int:
    """Say what it took to build a value: a container holds references to what is there already.

    Raises:
        TemplateLimitError: The value is too large.
    """
    if isinstance(value, str):
        size = len(value)
    elif isinstance(value, (list, tuple)):
        size = len(value) * _ITEM_WEIGHT
    else:
        return 1
    check_weight(size)
    return size


def written_size(value: Any) -> int:
    """Say how long a value is when it is written out, before that is done.

    A list that holds one other list many times counts as often as it would be written.

    Raises:
        TemplateLimitError: The text would be too long.
    """
    if not isinstance(value, (list, tuple, Mapping)):
        return built_size(value)
    size = _container_weight(value)
    check_weight(size)
    return size


def _container_weight(value: Any) -> int:
    total = 0
    unseen: list[Any] = [value]
    while unseen and total <= MAX_WEIGHT:
        container = unseen.pop()
        if isinstance(container, Mapping):
            container = (*container.keys(), *container.values())
        for item in container:
            total += _ITEM_WEIGHT
            if isinstance(item, str):
                total += len(item)
            elif isinstance(item, (list, tuple, Mapping)):
                unseen.append(item)
    return total


def check_weight(total: int) -> None:
    """Refuse a value before it is built."""
    if total > MAX_WEIGHT:
        raise TemplateLimitError(f"it builds a value of more than {MAX_WEIGHT} characters")


def check_width(width: Any) -> None:
    """Refuse a column count, or a text to indent with."""
    if (len(width) if isinstance(width, str) else width or 0) > _MAX_WIDTH:
        raise TemplateLimitError(f"it pads to more than {_MAX_WIDTH} columns")


def check_product(left: Any, right: Any) -> None:
    """Refuse a `*` that repeats too much or makes too large a number."""
    if isinstance(left, int) and isinstance(right, int):
        _check_bits(left.bit_length() + right.bit_length())
    for value, count in ((left, right), (right, left)):
        if isinstance(count, int) and isinstance(value, (str, bytes, list, tuple)):
            check_weight(max(built_size(value), len(value)) * count)


def check_power(base: Any, exponent: Any) -> None:
    """Refuse a `**` that makes too large a number."""
    if isinstance(base, int) and isinstance(exponent, int):
        _check_bits(base.bit_length() * abs(exponent))


def _check_bits(bits: int) -> None:
    if bits > _MAX_INTEGER_BITS:
        raise TemplateLimitError(f"it computes with numbers of more than {_MAX_INTEGER_BITS} bits")


def check_percent_format(template: Any, values: Any) -> None:
    """Refuse a `%` that pads too much, or repeats its values too often."""
    if not isinstance(template, str):
        return
    if _WIDE_PERCENT_FORMAT.search(template):
        raise TemplateLimitError(f"it pads to more than {_MAX_WIDTH} columns")
    check_weight(len(template) + template.count("%") * written_size(values))


def check_format(template: str, values: Any) -> None:
    """Refuse a `str.format` that pads too much or by a value, or repeats its values too often."""
    fields = [field for field in string.Formatter().parse(template) if field[1] is not None]
    if any(_WIDE_FORMAT_SPEC.search(spec or "") for _, _, spec, _ in fields):
        raise TemplateLimitError(f"it pads to more than {_MAX_WIDTH} columns")
    check_weight(len(template) + len(fields) * written_size(values))


def check_replace(text: str, old: Any, new: Any) -> None:
    """Refuse a `replace` that multiplies."""
    check_weight(len(text) + text.count(str(old)) * len(str(new)))


def check_join(separator: str, items: Sequence[Any]) -> None:
    """Refuse a `join` that multiplies."""
    check_weight(written_size(items) + len(separator) * len(items))
