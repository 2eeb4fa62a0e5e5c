"""Asking for devices where the engine must not be loaded: a process of its own lists them.

A GPU driver that hangs or crashes takes nobody along. A backend has a module that calls
`write_devices` when it is run as a program; `ask_devices` runs it.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterable, Sequence

import msgspec

from stoker.backend import Device
from stoker.errors import BackendUnavailableError

TIMEOUT_S = 30.0


class _WireDevice(msgspec.Struct, frozen=True):
    name: str
    kind: str
    description: str
    memory_bytes: int | None


def ask_devices(module: str, engine: str) -> Sequence[Device]:
    """Ask a process of its own for the devices.

    Args:
        module: What to run, with `python -m`.
        engine: The engine's name, for errors.

    Raises:
        BackendUnavailableError: It failed, or did not answer in time.
    """
    command = [sys.executable, "-m", module]
    try:
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, check=True, timeout=TIMEOUT_S
        )
        wire = msgspec.json.decode(done.stdout, type=list[_WireDevice])
    except subprocess.TimeoutExpired as exc:
        raise BackendUnavailableError(
            f"{engine} did not list its devices within {TIMEOUT_S:g} s: a driver may hang."
        ) from exc
    except subprocess.CalledProcessError as exc:
        last = exc.stderr.decode(errors="replace").strip().rpartition("\n")[2]
        how = f"signal {-exc.returncode}" if exc.returncode < 0 else f"status {exc.returncode}"
        raise BackendUnavailableError(
            f"{engine} could not list its devices, its process ended with {how}: {last}"
        ) from exc
    except (OSError, msgspec.DecodeError) as exc:
        raise BackendUnavailableError(f"{engine} could not list its devices: {exc}.") from exc
    return [Device(item.name, item.kind, item.description, item.memory_bytes) for item in wire]


def write_devices(devices: Iterable[Device]) -> None:
    """Write devices to standard output, as `ask_devices` reads them."""
    wire = [
        _WireDevice(item.name, item.kind, item.description, item.memory_bytes) for item in devices
    ]
    sys.stdout.buffer.write(msgspec.json.encode(wire))
