"""The processors that MLX can use.

Run as a program (`python -m stoker_mlx.devices`) it writes them as JSON. That is how they are asked
for where the engine must not be loaded.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from stoker import device_query
from stoker.backend import Device


def ask_devices() -> Sequence[Device]:
    """Ask a process of its own for the devices.

    Raises:
        BackendUnavailableError: It failed, or did not answer in time.
    """
    return device_query.ask_devices("stoker_mlx.devices", "MLX")


def native_devices() -> list[Device]:
    """The devices, from the library in this process; the one that is used first."""
    import mlx.core as mx

    used = mx.default_device()
    found = [_device(used)]
    if used.type != mx.DeviceType.cpu:
        found.append(_device(mx.Device(mx.DeviceType.cpu, 0)))
    return found


def _device(device: Any) -> Device:
    import mlx.core as mx

    facts = mx.device_info(device)
    if device.type == mx.DeviceType.cpu:
        kind = "cpu"
    else:
        kind = "metal" if mx.metal.is_available() else "cuda"
    size = facts.get("memory_size") or facts.get("total_memory")
    name = facts.get("device_name") or facts.get("architecture") or kind
    return Device(
        name="CPU" if kind == "cpu" else f"GPU{device.index}",
        kind=kind,
        description=str(name),
        memory_bytes=int(size) if size else None,
    )


def main() -> None:
    """Write the devices to standard output."""
    device_query.write_devices(native_devices())


if __name__ == "__main__":
    main()
