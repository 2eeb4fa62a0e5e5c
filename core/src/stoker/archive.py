"""The archive seam: answers that their callers may ask for again, kept for dialects.

A dialect is pure, so it keeps nothing. Its encoder says what to keep (`ResponseEncoder.record`),
its routes say what they need (`stoker.dialect.Continuation`, `stoker.dialect.RecordRoute`), and the
transport that mounts it passes records between them and the host's archive. What is inside of a
record is the dialect's own business.
"""

from __future__ import annotations

from typing import Protocol

import attrs


@attrs.frozen
class Record:
    """Something that a dialect wants kept of an answer."""

    id: str
    """Unique among all dialects: a prefix of the dialect's own before the response's id."""
    created_s: int
    """Seconds since the epoch."""
    data: bytes = attrs.field(repr=lambda data: f"<{len(data)} bytes>")


class Archive(Protocol):
    """Keeps records, each for the caller whose answer it is.

    Called on the application's event loop; whatever blocks is done elsewhere, within a bounded
    time. Records go when they are old, or when there are too many: nobody can rely on one.
    """

    async def put(self, owner: str, record: Record) -> None:
        """Keep a record; one of the same owner and id is replaced.

        Args:
            owner: The caller's name.
            record: What to keep.

        Raises:
            UnavailableError: It cannot be kept now.
        """

    async def get(self, owner: str, record_id: str) -> Record:
        """A record of an owner.

        Raises:
            NotFoundError: There is none, or it is another owner's.
            UnavailableError: It cannot be read now.
        """

    async def remove(self, owner: str, record_id: str) -> None:
        """Remove a record of an owner, for good.

        Raises:
            NotFoundError: There is none, or it is another owner's.
            UnavailableError: It cannot be removed now.
        """
