"""The version of the core and its API; every member of the workspace carries the same."""

from __future__ import annotations

__version__ = "0.1.0"
