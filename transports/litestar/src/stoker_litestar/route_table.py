"""The paths of dialects in the web framework's words, and what two dialects may not share."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence

from litestar.types import Method

from stoker.dialect import (
    AnswerRoute,
    BlobRoute,
    CommandRoute,
    Dialect,
    ModelRoute,
    ModelsRoute,
    RecordRoute,
    Route,
)
from stoker.errors import ConflictError

READS: tuple[Method, ...] = ("GET", "HEAD")
"""The methods of what is only looked at: whoever asks for the head alone gets it.

https://www.rfc-editor.org/rfc/rfc9110.html#section-9.1
"""
BACKEND = "backend"
"""The segment of a path that pins a backend."""
NAME = "{name}"
"""The segment of a path that is a model's name."""

_PLACEHOLDER = re.compile(r"\{[^}]*\}")


def litestar_path(path: str) -> str:
    """A path with the placeholder of the backend as the framework writes it."""
    return path.replace(f"{{{BACKEND}}}", f"{{{BACKEND}:str}}")


def refuse_clashes(dialects: Iterable[Dialect], own: Sequence[tuple[str, str]]) -> None:
    """See that every method of a path belongs to one dialect.

    Args:
        dialects: What is to be mounted.
        own: Methods and paths of the transport itself.

    Raises:
        ConflictError: Two dialects want the same, or one wants what is the transport's.
    """
    owners: dict[tuple[str, str], str] = dict.fromkeys(own, "the HTTP transport itself")
    for dialect in dialects:
        owner = f"dialect {dialect.name!r}"
        for route in dialect.routes:
            for method, path in endpoints(route):
                key = method, _PLACEHOLDER.sub("{}", path)
                if key in owners:
                    raise ConflictError(
                        f"{owners[key]} and {owner} both answer {method} {path}: block the plugin"
                        " of one of them (plugins.block)."
                    )
                owners[key] = owner


def endpoints(route: Route) -> Iterator[tuple[str, str]]:
    """The methods and paths of a route."""
    match route:
        case AnswerRoute(path=path):
            yield "POST", path
        case ModelsRoute(path=path, header=header):
            yield _with_header("GET", header), path
        case ModelRoute(path=path, header=header):
            yield _with_header("GET", header), f"{path}/{NAME}"
        case RecordRoute(method=method, path=path):
            yield method, path
        case BlobRoute(path=path):
            yield "HEAD", f"{path}/{NAME}"
            yield "POST", f"{path}/{NAME}"
        case CommandRoute(method=method, path=path):
            yield method, path


def _with_header(method: str, header: str | None) -> str:
    """What tells routes of one path apart that dialects may share."""
    return method if header is None else f"{method} with {header}"
