"""Caches with few bits for each number, and a batch of them, which mlx-lm lacks."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import mlx.core as mx
from mlx_lm.models.cache import BatchKVCache, KVCache, QuantizedKVCache


class QuantisedCache(QuantizedKVCache):  # type: ignore[misc] # mlx_lm has no types
    """mlx-lm's quantised cache of one sequence, of which there are batches."""

    def size(self) -> int:
        """How many tokens are in it."""
        return int(self.offset)

    @classmethod
    def merge(cls, caches: Sequence[QuantisedCache]) -> QuantisedBatch:
        """A batch with a row for each cache."""
        first = caches[0]
        columns = ([cache.part(number) for cache in caches] for number in range(3))
        return QuantisedBatch(
            map(BatchKVCache.merge, columns), group_size=first.group_size, bits=first.bits
        )

    def part(self, number: int) -> Any:
        """The packed numbers, the scales or the biases, as a cache of their own."""
        part = KVCache()
        if not self.empty():
            part.keys, part.values, part.offset = (
                self.keys[number],
                self.values[number],
                self.offset,
            )
        return part


class QuantisedBatch:
    """Rows of quantised caches.

    What stands for a key or a value are three arrays: packed numbers, scales and biases. Each of
    the three is as long as the tokens, so mlx-lm's batch of plain caches keeps each of them.
    """

    def __init__(self, parts: Iterable[Any], *, group_size: int, bits: int) -> None:
        """Join the parts.

        Args:
            parts: Batches of packed numbers, of scales and of biases.
            group_size: How many numbers share a scale.
            bits: Of a number. mlx-lm's attention looks for this attribute.
        """
        self._parts = list(parts)
        self.group_size = group_size
        self.bits = bits

    @property
    def offset(self) -> Any:
        """(rows,): where each row's next token stands."""
        return self._parts[0].offset

    @property
    def state(self) -> list[Any]:
        """What `mlx.core.eval` has to compute."""
        return [part.state for part in self._parts]

    @property
    def nbytes(self) -> int:
        """How much memory it holds, spare room included."""
        return sum(part.nbytes for part in self._parts)

    def make_mask(self, *arguments: Any, **options: Any) -> Any:
        """What each new token sees."""
        return self._parts[0].make_mask(*arguments, **options)

    def update_and_fetch(self, keys: Any, values: Any) -> tuple[Any, Any]:
        """Take new keys and values in, and give all."""
        packed = [
            mx.quantize(numbers, group_size=self.group_size, bits=self.bits)
            for numbers in (keys, values)
        ]
        fetched = [
            part.update_and_fetch(*new)
            for part, new in zip(self._parts, zip(*packed, strict=True), strict=True)
        ]
        all_keys, all_values = zip(*fetched, strict=True)
        return all_keys, all_values

    def extend(self, other: QuantisedBatch) -> None:
        """Take the rows of another batch in."""
        for ours, theirs in zip(self._parts, other._parts, strict=True):
            ours.extend(theirs)

    def filter(self, rows: Sequence[int]) -> None:
        """Keep some rows."""
        for part in self._parts:
            part.filter(rows)

    def extract(self, row: int) -> QuantisedCache:
        """A row by itself."""
        taken = [part.extract(row) for part in self._parts]
        cache = QuantisedCache(group_size=self.group_size, bits=self.bits)
        cache.keys = tuple(part.keys for part in taken)
        cache.values = tuple(part.values for part in taken)
        cache.offset = taken[0].offset
        return cache
