"""What MLX takes besides weights and caches; the engine and the estimate share it."""

from __future__ import annotations

MIB = 1024 * 1024

POOL_BYTES = 128 * MIB
"""Freed memory that MLX keeps to use it again. Unlimited, as it comes, it grows to all there is."""
LEAST_PREFIX_BYTES = 256 * MIB
"""What the prefix cache gets at least, when its size is not set."""
SCORED_TOKENS = 32
"""Tokens of a prompt in one read for which there are logits, where its probabilities are wanted."""
COMMON_CONTEXT_LENGTH = 8192
"""The context when nobody has chosen one."""


def prefix_bytes(wanted: int | None, cache_bytes: int) -> int:
    """Memory for prefixes.

    Args:
        wanted: As it is set.
        cache_bytes: What the KV cache takes when it is full.
    """
    return max(cache_bytes, LEAST_PREFIX_BYTES) if wanted is None else wanted
