"""How many connections are worth having, and how long the ranges are that they ask for.

A connection that hardly waits for the network keeps a core busy with what it brings. More of them
would only take each other's time, as over loopback or in a machine room, and bring out of order
what has to be hashed in order. Where they wait for most of the time, each further one brings more.
"""

from __future__ import annotations

from stoker_registry.partials import BLOCK_BYTES

MIN_RANGE_BYTES = 4 * 1024**2
_FIRST_RANGE_BYTES = 8 * 1024**2
_MAX_RANGE_BYTES = 64 * 1024**2
_WAITS_PER_RANGE = 20
"""A range shall take so many times as long as the wait for its first byte: 5 % are lost to waits.

Longer ones are worse, because hashing goes in order: it would stand still meanwhile.
"""
_MUCH = 0.6
"""Which part of their time connections have to wait for more of them to be opened."""
_WINDOW_S = 0.05
"""Over how much of their time, for single waits tell little."""
_LAG_S = 0.2
"""How long hashing has to be behind all the time for fewer connections to be better.

Where a range ends it is, for a moment: the next one is mostly there already.
"""


class RangePlan:
    """Learns from one download. The crew's `changed` guards it."""

    def __init__(self, *, max_connections: int, min_range_bytes: int) -> None:
        """Begin with one connection.

        Args:
            max_connections: How many there may be.
            min_range_bytes: What is never cut into smaller ranges, in whole blocks.
        """
        self.connections = 1
        """How many there should be now."""
        self._max_connections = max_connections
        self._min_range_bytes = min_range_bytes
        self._range_bytes = _FIRST_RANGE_BYTES
        self._waited_s = self._taken_s = 0.0
        self._behind_s = 0.0

    def range_bytes(self, pending_bytes: int) -> int:
        """How long the next range is. Shorter ones at the end let all connections end together."""
        share = pending_bytes // (2 * self.connections)
        size_bytes = max(min(share, self._range_bytes), self._min_range_bytes)
        return size_bytes - size_bytes % BLOCK_BYTES

    def note_range(self, wait_s: float, transfer_s: float, size_bytes: int) -> None:
        """Fit the length of ranges to the wait for a first byte, and the pace from then on."""
        if size_bytes < BLOCK_BYTES:
            return
        fitting = _WAITS_PER_RANGE * wait_s * size_bytes / max(transfer_s, 1e-6)
        # Half-way only, because single ranges tell little.
        middle = (self._range_bytes + min(int(fitting), _MAX_RANGE_BYTES)) // 2
        self._range_bytes = max(middle, self._min_range_bytes)

    def note_wait(self, waited_s: float, taken_s: float, *, is_hash_behind: bool) -> bool:
        """Fit the number of connections to what limits: the network, or the processor.

        Args:
            waited_s: How long one of them has waited for the network.
            taken_s: How long it took for that and for all else.
            is_hash_behind: Whether there is more than was hashed.

        Returns:
            Whether more are worth having than before.
        """
        self._waited_s += waited_s
        self._taken_s += taken_s
        if self._taken_s < _WINDOW_S:
            return False
        before = self.connections
        # Each of them takes its time beside the others.
        self._behind_s = self._behind_s + self._taken_s / before if is_hash_behind else 0.0
        if self._behind_s > _LAG_S:
            self.connections = max(before - 1, 1)
            self._behind_s = 0.0
        elif self._waited_s > self._taken_s * _MUCH and not is_hash_behind:
            self.connections = min(before * 2, self._max_connections)
        self._waited_s = self._taken_s = 0.0
        return self.connections > before
