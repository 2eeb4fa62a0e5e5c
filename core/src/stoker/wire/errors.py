"""Domain errors on the wire: class name, sentence and data."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec

from stoker.errors import StokerError


def _classes(root: type[StokerError]) -> Iterator[type[StokerError]]:
    yield root
    for child in root.__subclasses__():
        yield from _classes(child)


class ErrorWire(msgspec.Struct, frozen=True, array_like=True):
    """A domain error. An error of a class that the reader lacks arrives as its nearest root."""

    kind: str
    message: str
    data: dict[str, Any] = {}

    @classmethod
    def from_domain(cls, error: StokerError) -> ErrorWire:
        """Take an error apart; its attributes are simple types by the rule of the tree."""
        return cls(type(error).__name__, str(error), vars(error))

    def to_domain(self) -> StokerError:
        """Make the same error again, without running its constructor's sentence building."""
        by_name = {kind.__name__: kind for kind in _classes(StokerError)}
        kind = by_name.get(self.kind, StokerError)
        error = kind.__new__(kind)
        Exception.__init__(error, self.message)
        vars(error).update(self.data)
        return error
