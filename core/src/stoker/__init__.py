"""stoker: a pluggable runner of language models.

Plugin authors start at `stoker.hookspecs`; scripts and notebooks at `stoker.open`.
"""

from __future__ import annotations

from stoker.errors import StokerError
from stoker.hookspecs import hookimpl
from stoker.version import __version__

__all__ = ["StokerError", "__version__", "hookimpl"]
