"""A blob that is being fetched: what is missing of it, who fetches which part, how far it is."""

from __future__ import annotations

import enum
from collections import deque

import attrs

from stoker.meter import Meter
from stoker.store import ReportProgress
from stoker_registry.blob_stream import BlobStream
from stoker_registry.fetching import WantedBlob
from stoker_registry.partials import BLOCK_BYTES, Partial
from stoker_registry.running_hash import RunningHash

_MAX_LAG_BYTES = 64 * 1024**2
"""When hashing is behind by so much, the processor is what limits, and more ranges do not help.

They would take its time from hashing, and push out of memory what is to be hashed.
"""
_BLOCKS_PER_NEWS = 16
"""How often others hear of a blob that comes in order, and is hashed as it comes."""
_SHOWN_LAG_BYTES = 64 * 1024**2
"""Hashing that lags behind by so much, as after a resume, is shown."""


class _Ranges(enum.Enum):
    """What is known of the registry's way with ranges, for one blob."""

    UNKNOWN = enum.auto()
    ASKED = enum.auto()
    KNOWN = enum.auto()
    REFUSED = enum.auto()


@attrs.define(eq=False)
class Piece:
    """A range that one worker fetches. Only that worker changes it."""

    blob: IncomingBlob
    position: int
    """Everything before is there."""
    end: int
    blocks_done: int = 0


class IncomingBlob:
    """A blob under way.

    The crew's `changed` guards all but the partial and the hash, which guard themselves.
    """

    def __init__(self, wanted: WantedBlob, partial: Partial, report: ReportProgress) -> None:
        size_bytes, digest = partial.descriptor.size_bytes, partial.descriptor.digest
        self.partial = partial
        self.hash = RunningHash(partial)
        self.pieces: set[Piece] = set()
        self.is_starved = False
        """Whether hashing waits for a block."""
        self.is_done = False
        self._pending = deque(partial.missing())
        self._ranges = _Ranges.UNKNOWN
        self._shown_bytes = 0
        self._pulling = Meter(report, "pulling", wanted.item, size_bytes, digest)
        self._verifying = Meter(report, "verifying", wanted.item, size_bytes, digest)

    @property
    def pending_bytes(self) -> int:
        """The size of what nobody fetches yet."""
        return sum(end - start for start, end in self._pending)

    @property
    def is_hash_behind(self) -> bool:
        """Whether a whole block waits to be hashed."""
        return not self.hash.is_done and self.partial.has_block(self.hash.done_bytes // BLOCK_BYTES)

    @property
    def _is_far_behind(self) -> bool:
        """Whether hashing is far behind, not counting what an earlier attempt had left."""
        if self.is_starved or self.hash.done_bytes < self.partial.resumed_bytes:
            return False
        return self.partial.done_bytes - self.hash.done_bytes > _MAX_LAG_BYTES

    def take(self, range_bytes: int) -> Piece | None:
        """A range to fetch. The first one shows whether the registry knows ranges."""
        is_closed = self._ranges in {_Ranges.ASKED, _Ranges.REFUSED}
        if not self._pending or is_closed or self._is_far_behind:
            return None
        if self._ranges is _Ranges.UNKNOWN:
            self._ranges = _Ranges.ASKED
        start, end = self._pending.popleft()
        cut = min(start + range_bytes, end)
        if cut < end:
            self._pending.appendleft((cut, end))
        piece = Piece(self, start, cut)
        self.pieces.add(piece)
        return piece

    def learn(self, piece: Piece, stream: BlobStream) -> bool:
        """See from the first answer whether the registry knows ranges.

        Returns:
            Whether this is news for others who want a range.
        """
        if self._ranges is not _Ranges.ASKED:
            if self._ranges is _Ranges.REFUSED and not stream.is_range:
                piece.position = 0
            return False
        self._ranges = _Ranges.KNOWN if stream.is_range else _Ranges.REFUSED
        if self._ranges is _Ranges.REFUSED:
            # The whole blob comes in one piece, and again from its start when it is cut.
            self._pending.clear()
            piece.position, piece.end = 0, self.partial.descriptor.size_bytes
        return True

    def write(self, piece: Piece, offset: int, data: memoryview) -> bool:
        """Write what belongs to a piece; the rest is of a registry that knows no ranges.

        Returns:
            Whether there is news: blocks to be hashed, the end, or many to be kept.
        """
        if offset < piece.position:
            data = data[piece.position - offset :]
            offset = piece.position
        data = data[: max(piece.end - offset, 0)]
        is_news = False
        while data:
            _, block_end = self.partial.block_range(offset // BLOCK_BYTES)
            part = data[: block_end - offset]
            is_news |= self._write_part(piece, offset, part)
            offset += len(part)
            piece.position = offset
            data = data[len(part) :]
        return is_news

    def _write_part(self, piece: Piece, offset: int, part: memoryview) -> bool:
        """Write a part of one block, hash it if it is next, and mark the block at its end."""
        index = offset // BLOCK_BYTES
        # A block that is there may be hashed already, and must not change any more.
        if self.partial.has_block(index):
            return False
        end = offset + len(part)
        hashed_bytes = self.hash.done_bytes
        if offset < hashed_bytes:
            # Nor must the part of a block that was hashed when its connection was cut.
            part = part[hashed_bytes - offset :]
            offset = hashed_bytes
        if part:
            self.partial.write(part, offset)
            self.hash.take(part, offset)
        if end < self.partial.block_range(index)[1]:
            return False
        self.partial.mark(index)
        piece.blocks_done += 1
        return self.hash.done_bytes != end or self.hash.is_done or index % _BLOCKS_PER_NEWS == 0

    def start_anew(self) -> None:
        """Fetch all of it again: the partial was discarded."""
        self._ranges = _Ranges.UNKNOWN
        self.hash.restart()
        self._pending = deque(self.partial.missing())

    def report(self) -> None:
        """Report how far it is."""
        size_bytes = self.partial.descriptor.size_bytes
        begun_bytes = sum(piece.position % BLOCK_BYTES for piece in tuple(self.pieces))
        done_bytes = size_bytes if self.is_done else self.partial.done_bytes + begun_bytes
        # A blob that starts anew is shown as standing still until it is as far again.
        self._shown_bytes = max(self._shown_bytes, min(done_bytes, size_bytes))
        self._pulling(self._shown_bytes)
        if done_bytes >= size_bytes and size_bytes - self.hash.done_bytes > _SHOWN_LAG_BYTES:
            self._verifying(self.hash.done_bytes)
