"""Whose an error is that belongs to no route: a wrong method, a path that is none."""

from __future__ import annotations

import re
from collections.abc import Sequence

from stoker.dialect import Dialect
from stoker_litestar.route_table import NAME, endpoints

_PLACEHOLDER = re.compile(r"\\\{[^}]*\\\}")


class PathOwners:
    """Finds the dialect whose clients ask at a path."""

    def __init__(self, dialects: Sequence[Dialect]) -> None:
        self._paths: list[tuple[re.Pattern[str], Dialect]] = []
        self._roots: dict[str, list[Dialect]] = {}
        for dialect in dialects:
            paths = {path for route in dialect.routes for _, path in endpoints(route)}
            self._paths += [(_pattern(path), dialect) for path in paths]
            for root in {_root(path) for path in paths}:
                self._roots.setdefault(root, []).append(dialect)

    def find(self, path: str) -> Dialect | None:
        """The one that has the path, or alone has paths that begin as it does; else None."""
        fitting = [dialect for pattern, dialect in self._paths if pattern.fullmatch(path)]
        found = {id(dialect): dialect for dialect in fitting or self._roots.get(_root(path), [])}
        return next(iter(found.values())) if len(found) == 1 else None


def _root(path: str) -> str:
    return path.removeprefix("/").partition("/")[0]


def _pattern(path: str) -> re.Pattern[str]:
    escaped = re.escape(path).replace(re.escape(NAME), ".+")
    return re.compile(_PLACEHOLDER.sub("[^/]+", escaped))
