"""Whose form an error has at a path that no handler takes.

A client of one API that asks for what is not there understands that API's errors, and no other's.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from stoker.dialect import Dialect


class PathOwners:
    """The dialects by the beginnings of their routes."""

    def __init__(self, dialects: Iterable[Dialect]) -> None:
        """Take note of all routes."""
        self._owners: dict[str, Dialect | None] = {}
        for dialect in dialects:
            for route in dialect.routes:
                for beginning in _beginnings(route.path.partition("{")[0].rstrip("/")):
                    known = self._owners.setdefault(beginning, dialect)
                    if known is not dialect:
                        # Several begin so: it tells nothing.
                        self._owners[beginning] = None

    def owner(self, path: str) -> Dialect | None:
        """The dialect that alone has routes where a path leads; None when there is no such."""
        for beginning in _beginnings(path.rstrip("/")):
            if beginning in self._owners:
                return self._owners[beginning]
        return None


def _beginnings(path: str) -> Iterator[str]:
    """A path, and what is left as its segments are taken from the end."""
    while path:
        yield path
        path = path.rpartition("/")[0]
