"""The path of a request as the client wrote it.

The router's own reading drops slashes: it would take `ai//x`, which is no name, for `ai/x`.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import unquote

from litestar import Request


def path_below(request: Request[Any, Any, Any], root: str) -> str:
    """What follows a root in the path, percent signs decoded once; empty when nothing does."""
    # Of the query nothing is in it: https://asgi.readthedocs.io/en/latest/specs/www.html
    raw = request.scope["raw_path"].decode("ascii", errors="replace")
    return unquote(raw, errors="replace").removeprefix(root)
