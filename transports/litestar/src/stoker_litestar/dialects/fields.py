"""Field tables: what becomes of every field that a wire API knows.

A route has one table. Tests walk it, so a field of the API cannot be forgotten, and documentation
is made from it.
"""

from __future__ import annotations

import enum
import functools
from collections.abc import Iterator, Mapping
from typing import Any

import attrs
import msgspec

from stoker.errors import UnsupportedFeatureError


class Treatment(enum.StrEnum):
    """What becomes of a field."""

    HONOURED = "honoured"
    REFUSED = "refused"
    """A request with it gets an error that names it."""
    NO_OP = "no-op"
    """Accepted, and without effect on the answer by its very meaning."""


@attrs.frozen
class FieldRule:
    """What becomes of one field, and why."""

    treatment: Treatment
    reason: str = ""
    """A phrase for people; not empty unless the field is honoured as the API describes it."""
    harmless: tuple[Any, ...] = ()
    """Values of a refused field that ask for nothing special, and are let through."""


def honoured(reason: str = "") -> FieldRule:
    """The field does what the API says, or what the reason says."""
    return FieldRule(Treatment.HONOURED, reason)


def refused(reason: str, *, harmless: tuple[Any, ...] = ()) -> FieldRule:
    """The field is an error unless it is null or harmless."""
    return FieldRule(Treatment.REFUSED, reason, harmless)


def no_op(reason: str) -> FieldRule:
    """The field needs nothing done."""
    return FieldRule(Treatment.NO_OP, reason)


@attrs.frozen
class FieldTable(Mapping[str, FieldRule]):
    """The rules of one route, by the field's name."""

    rules: Mapping[str, FieldRule]
    _refused: tuple[tuple[str, FieldRule], ...] = attrs.field(init=False, repr=False)

    def __attrs_post_init__(self) -> None:
        found = [item for item in self.rules.items() if item[1].treatment is Treatment.REFUSED]
        object.__setattr__(self, "_refused", tuple(found))

    def __getitem__(self, name: str) -> FieldRule:
        return self.rules[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.rules)

    def __len__(self) -> int:
        return len(self.rules)

    @property
    def notes(self) -> Mapping[str, str]:
        """What is to be known of fields beside what the API says."""
        return {
            name: f"{rule.reason[:1].upper()}{rule.reason[1:]}."
            for name, rule in self.items()
            if rule.reason
        }

    @property
    def refused(self) -> frozenset[str]:
        """Fields that are an error whatever their value."""
        return frozenset(name for name, rule in self._refused if not rule.harmless)

    def check(self, body: msgspec.Struct, *, path: str = "") -> None:
        """Let a body through that uses no refused field.

        Args:
            body: The Struct.
            path: Where it stands in the whole body, with a dot at the end.

        Raises:
            UnsupportedFeatureError: It uses one; the error names it and gives the reason.
        """
        attributes = _attributes(type(body))
        for name, rule in self._refused:
            value = getattr(body, attributes[name])
            if value is not None and value not in rule.harmless:
                raise UnsupportedFeatureError(f"{path}{name}: {rule.reason}.", param=path + name)


@functools.cache
def _attributes(struct: type[msgspec.Struct]) -> Mapping[str, str]:
    """A Struct's attributes by the names of its fields in JSON."""
    return dict(zip(struct.__struct_encode_fields__, struct.__struct_fields__, strict=True))
