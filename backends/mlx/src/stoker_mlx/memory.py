"""MLX's memory: how much of it is kept when it is not used, and what is wired."""

from __future__ import annotations

import gc

import mlx.core as mx

from stoker.memory.release import give_back
from stoker_mlx.footprint import POOL_BYTES


class Memory:
    """Sets MLX's limits while a model is loaded, and gives everything back after it.

    On Apple's GPUs memory that is not wired can be compressed or swapped out while a model rests,
    and its next answer then waits for it. What a model may wire is limited by what the system
    recommends; elsewhere nothing is wired.
    """

    def __init__(self) -> None:
        mx.set_cache_limit(POOL_BYTES)
        self._wired: int | None = None
        recommended = mx.device_info().get("max_recommended_working_set_size")
        if recommended is not None:
            self._wired = mx.set_wired_limit(int(recommended))

    @property
    def used_bytes(self) -> int:
        """What arrays take now."""
        return int(mx.get_active_memory())

    def release(self) -> None:
        """Give back what nobody holds any more."""
        # Models are full of cycles, which hold their arrays.
        gc.collect()
        mx.synchronize()
        mx.clear_cache()
        if self._wired is not None:
            mx.set_wired_limit(self._wired)
        give_back()
