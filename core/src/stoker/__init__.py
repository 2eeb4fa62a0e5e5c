"""stoker: a pluggable runner of language models.

Plugin authors start at `stoker.hookspecs`; scripts and notebooks at `stoker.open`.
"""

from __future__ import annotations

import typing

from stoker.errors import StokerError
from stoker.hookspecs import hookimpl
from stoker.version import __version__

if typing.TYPE_CHECKING:
    from stoker.model import Model, open  # noqa: A004 - `stoker.open` is the name that people know

__all__ = ["Model", "StokerError", "__version__", "hookimpl", "open"]


def __getattr__(name: str) -> object:
    """Import what runs models when somebody asks for it: every plugin and command imports this."""
    if name not in {"Model", "open"}:
        raise AttributeError(f"module 'stoker' has no attribute {name!r}")
    from stoker import model  # noqa: PLC0415

    return getattr(model, name)
