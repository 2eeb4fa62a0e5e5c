"""The prefix cache: what is found, what is kept, and that nobody writes into what others have."""

from __future__ import annotations

from array import array

import mlx.core as mx
from mlx_lm.models.cache import KVCache, QuantizedKVCache, RotatingKVCache

from stoker_mlx.caches import Caches, copied, cut, mergeable, size_bytes
from stoker_mlx.prefix_cache import PrefixCache

HEADS, WIDTH = 1, 64


def tokens(*parts: range) -> array[int]:
    return array("i", [token for part in parts for token in part])


def extend(caches: Caches, start: int, count: int) -> Caches:
    """Put numbers in that tell their places."""
    for cache in caches:
        values = mx.arange(start, start + count, dtype=mx.float32)[None, None, :, None]
        values = mx.broadcast_to(values, (1, HEADS, count, WIDTH))
        cache.update_and_fetch(values, values)
    return caches


def places(caches: Caches) -> list[float]:
    keys, _ = caches[0].keys_and_values()
    return [float(value) for value in keys[0, 0, :, 0].tolist()]


def filled(count: int, kind: type = KVCache) -> Caches:
    return extend([kind() if kind is not RotatingKVCache else kind(32)], 0, count)


def test_the_longest_beginning_is_found() -> None:
    """A row that goes on elsewhere serves up to where it does, cut back."""
    cache = PrefixCache(10**9)
    cache.keep(tokens(range(100)), filled(100))
    cache.keep(tokens(range(40), range(200, 230)), filled(70))
    found = cache.find(tokens(range(60), range(300, 310)))
    caches = cache.take(found)

    assert 60 == found.length
    assert list(range(60)) == places(caches)


def test_takers_do_not_see_each_other() -> None:
    """What one writes behind a prefix is not in the cache of another, nor in what is kept."""
    cache = PrefixCache(10**9)
    row = tokens(range(50))
    own = filled(50)
    cache.keep(row, own)
    one, two = cache.take(cache.find(row[:30])), cache.take(cache.find(row[:30]))
    extend(one, 500, 5)
    extend(two, 700, 5)
    extend(own, 900, 3)

    assert [*range(30), *range(500, 505)] == places(one)
    assert [*range(30), *range(700, 705)] == places(two)
    assert [*range(50), 900, 901, 902] == places(own)
    assert list(range(50)) == places(cache.take(cache.find(row)))


def test_windows_serve_as_a_whole() -> None:
    """A window that has moved cannot be cut back, so only its whole row is a prefix."""
    cache = PrefixCache(10**9)
    row = tokens(range(50))
    cache.keep(row, filled(50, RotatingKVCache))

    assert 0 == cache.find(row[:40]).length
    assert 50 == cache.find(tokens(range(60))).length


def test_the_budget_holds() -> None:
    """The least recently used rows leave, and a row that is larger than all room never comes."""
    size = size_bytes(filled(100))
    cache = PrefixCache(2 * size)
    rows = [tokens(range(start, start + 100)) for start in (0, 1000, 2000)]
    for row in rows[:2]:
        cache.keep(row, filled(100))
    cache.take(cache.find(rows[0]))
    cache.keep(rows[2], filled(100))
    cache.keep(tokens(range(5000, 5600)), filled(600))

    assert [100, 0, 100] == [cache.find(row).length for row in rows]
    assert 2 * size == cache.size_bytes


def test_a_longer_row_takes_the_place_of_its_beginning() -> None:
    """What a row begins with is not kept twice, and what is known is not kept again."""
    cache = PrefixCache(10**9)
    cache.keep(tokens(range(100)), filled(100))
    cache.keep(tokens(range(150)), filled(150))
    cache.keep(tokens(range(120)), filled(120))

    assert size_bytes(filled(150)) == cache.size_bytes
    cache.clear()
    assert 0 == cache.size_bytes
    assert 0 == cache.find(tokens(range(100))).length


def test_nothing_is_kept_without_room() -> None:
    """With a budget of 0 nobody makes copies for it."""
    cache = PrefixCache(0)

    assert not cache.wants(tokens(range(100)))
    cache.keep(tokens(range(100)), filled(100))
    assert 0 == cache.find(tokens(range(100))).length


def test_quantised_caches_are_copied_as_well() -> None:
    """A copy of a quantised cache goes on on its own; mlx-lm has no batch of such."""
    own = filled(20, QuantizedKVCache)
    other = copied(own)
    cut(other, 5)
    extend(other, 90, 1)

    assert not mergeable(own)
    assert (20, 16) == (own[0].offset, other[0].offset)


def test_empty_caches_are_copied() -> None:
    """A cache that nothing was put into has a copy as empty."""
    (cache,) = copied([RotatingKVCache(8)])

    assert cache.empty()
    assert 8 == cache.max_size
