"""The budget: how much of each device's memory loaded models may take together."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import attrs

from stoker.config import MemoryConfig
from stoker.estimate import HOST, DeviceMemory
from stoker.memory.machine import host_memory_bytes
from stoker.memory.size import parse_size

DEFAULT_SHARE = 0.8
"""The rest is for the system, for other programs, and for files that are read again and again."""


@attrs.frozen
class Budget:
    """Bytes by device. A device whose memory nobody knows is not in it, and has no limit."""

    limits: Mapping[str, int] = attrs.field(factory=dict, hash=False)

    @classmethod
    def from_config(cls, config: MemoryConfig, devices: Iterable[DeviceMemory] = ()) -> Budget:
        """The budget for the host and some other devices."""
        limits = {HOST: _amount(config.budget, host_memory_bytes())}
        for device in devices:
            limits[device.name] = _amount(config.devices.get(device.name), device.memory_bytes)
        return cls({name: limit for name, limit in limits.items() if limit is not None})

    def limit(self, device: str) -> int | None:
        """The bytes for a device; None when there is no limit."""
        return self.limits.get(device)


def _amount(setting: float | str | None, total_bytes: int | None) -> int | None:
    if isinstance(setting, str):
        return parse_size(setting)
    if total_bytes is None:
        return None
    return int(total_bytes * (DEFAULT_SHARE if setting is None else setting))
