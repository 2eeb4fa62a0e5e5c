"""stoker: a pluggable runner of language models.

Plugin authors start at `stoker.hookspecs`; scripts and notebooks at `stoker.open`.
"""

from __future__ import annotations

from stoker.errors import StokerError
from stoker.hookspecs import hookimpl
from stoker.model import Model, open  # noqa: A004 - `stoker.open` is the name that people know
from stoker.version import __version__

__all__ = ["Model", "StokerError", "__version__", "hookimpl", "open"]
