"""The command line, `stoker`.

Every command is a module in `stoker.cli.commands` and is imported when it is needed; the modules
beside this one are what commands share.
"""

from __future__ import annotations

from stoker.cli.program import main

__all__ = ["main"]
