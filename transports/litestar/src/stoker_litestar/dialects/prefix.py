"""The same API below other paths."""

from __future__ import annotations

from collections.abc import Iterable

import attrs

from stoker.dialect import Dialect


def below(dialect: Dialect, prefixes: Iterable[str]) -> Dialect:
    """A dialect's routes, each once below every prefix.

    Args:
        dialect: The API.
        prefixes: Paths without a slash at the end; `{backend}` may be a segment.
    """
    routes = tuple(
        attrs.evolve(route, path=prefix + route.path)
        for prefix in prefixes
        for route in dialect.routes
    )
    return attrs.evolve(dialect, routes=routes)
