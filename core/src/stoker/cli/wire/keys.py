"""What `stoker keys new --json` prints."""

from __future__ import annotations

import msgspec


class NewKeyDocument(msgspec.Struct, frozen=True):
    """A new key, with the entry that the server's configuration needs."""

    name: str
    key: str
    hash: str
    scopes: tuple[str, ...]
