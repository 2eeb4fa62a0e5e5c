"""The processors that MLX can use.

Run as a program (`python -m stoker_mlx.devices`) it writes them as JSON. That is how they are asked
for where the engine must not be loaded.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from typing import Any

import msgspec

from stoker.backend import Device
from stoker.errors import BackendUnavailableError

_TIMEOUT_S = 30.0


class _WireDevice(msgspec.Struct, frozen=True):
    name: str
    kind: str
    description: str
    memory_bytes: int | None


def ask_devices() -> Sequence[Device]:
    """Ask a process of its own for the devices.

    Raises:
        BackendUnavailableError: It failed, or did not answer in time.
    """
    command = [sys.executable, "-m", "stoker_mlx.devices"]
    try:
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, check=True, timeout=_TIMEOUT_S
        )
        wire = msgspec.json.decode(done.stdout, type=list[_WireDevice])
    except subprocess.TimeoutExpired as exc:
        raise BackendUnavailableError(
            f"MLX did not list its devices within {_TIMEOUT_S:g} s: a driver may hang."
        ) from exc
    except subprocess.CalledProcessError as exc:
        last = exc.stderr.decode(errors="replace").strip().rpartition("\n")[2]
        how = f"signal {-exc.returncode}" if exc.returncode < 0 else f"status {exc.returncode}"
        raise BackendUnavailableError(
            f"MLX could not list its devices, its process ended with {how}: {last}"
        ) from exc
    except (OSError, msgspec.DecodeError) as exc:
        raise BackendUnavailableError(f"MLX could not list its devices: {exc}.") from exc
    return [Device(item.name, item.kind, item.description, item.memory_bytes) for item in wire]


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
    wire = [
        _WireDevice(item.name, item.kind, item.description, item.memory_bytes)
        for item in native_devices()
    ]
    sys.stdout.buffer.write(msgspec.json.encode(wire))


if __name__ == "__main__":
    main()
