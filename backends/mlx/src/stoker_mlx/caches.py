"""A sequence's caches: one object of mlx-lm for each layer, with what it computed of the tokens.

MLX's arrays are values: two may share memory, and writing to one leaves the other as it was. So a
copy of a cache costs nothing until it is extended, and what is extended first is copied once, which
is much quicker than to compute it.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

import mlx.core as mx
from mlx.utils import tree_map
from mlx_lm.models.cache import KVCache, make_prompt_cache

from stoker_mlx.quantised_caches import QuantisedCache

Caches = list[Any]
"""Of one sequence, or of a batch: mlx-lm has classes for both."""


def new_caches(model: Any, *, kv_bits: int | None = None, kv_group_size: int = 64) -> Caches:
    """Empty caches for one sequence.

    Args:
        model: What they are for; it chooses their kinds.
        kv_bits: Bits of a number in caches that can be quantised; None keeps the model's.
        kv_group_size: How many numbers share a scale then.
    """
    caches = make_prompt_cache(model)
    if kv_bits is None:
        return list(caches)
    return [
        QuantisedCache(group_size=kv_group_size, bits=kv_bits) if type(cache) is KVCache else cache
        for cache in caches
    ]


def copied(caches: Caches) -> Caches:
    """The same caches, which can go on on their own."""
    return [_copied(cache) for cache in caches]


def cut(caches: Caches, count: int) -> None:
    """Take the last tokens out. Only for caches that are `cuttable`."""
    if count:
        for cache in caches:
            cache.trim(count)


def cuttable(caches: Caches) -> bool:
    """Whether last tokens can be taken out: not of states, and not of windows that have moved."""
    return all(cache.is_trimmable() for cache in caches)


def size_bytes(caches: Caches) -> int:
    """How much memory they hold, spare room included."""
    return sum(cache.nbytes for cache in caches)


def mergeable(caches: Caches) -> bool:
    """Whether mlx-lm has a batch of such caches."""
    return all(_mergeable(cache) for cache in caches)


def merged(rows: Sequence[Caches]) -> Caches:
    """The caches of several sequences as those of a batch."""
    return [type(column[0]).merge(list(column)) for column in zip(*rows, strict=True)]


def evaluate(caches: Caches) -> None:
    """Compute what is not yet computed, and let go of what it was computed from."""
    mx.eval([cache.state for cache in caches])


def _copied(cache: Any) -> Any:
    inner = getattr(cache, "caches", None)
    if inner is not None:
        return type(cache)(*map(_copied, inner))
    if cache.empty():
        # Some have no state before their first token.
        return copy.deepcopy(cache)
    return type(cache).from_state(tree_map(_handle, cache.state))


def _handle(value: Any) -> Any:
    """Another name for an array: what is written by one is not seen by the other."""
    return copy.copy(value) if isinstance(value, mx.array) else value


def _mergeable(cache: Any) -> bool:
    inner = getattr(cache, "caches", None)
    if inner is not None:
        return all(map(_mergeable, inner))
    return hasattr(type(cache), "merge")
