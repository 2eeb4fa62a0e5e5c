"""What `stoker version --json` prints."""

from __future__ import annotations

import msgspec


class VersionDocument(msgspec.Struct, frozen=True):
    """What `stoker version` shows."""

    stoker: str
    python: str
    platform: str
    distributions: dict[str, str]
    """Versions of the distributions that have plugins, by name."""
