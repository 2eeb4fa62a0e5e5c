"""The processors that llama.cpp can use.

Run as a program (`python -m stoker_llama_cpp.devices`) it writes them as JSON. That is how they
are asked for where the engine must not be loaded: a GPU driver that crashes takes nobody along.
"""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from typing import Any

from stoker import device_query
from stoker.backend import Device
from stoker_llama_cpp import binding

# enum ggml_backend_dev_type of ggml/include/ggml-backend.h; others are helpers of these.
_CPU = 0
_GPUS = (1, 2)

_KINDS = {"mtl": "metal"}


def ask_devices() -> Sequence[Device]:
    """Ask a process of its own for the devices.

    Raises:
        BackendUnavailableError: It failed, or did not answer in time.
    """
    return device_query.ask_devices("stoker_llama_cpp.devices", "llama.cpp")


def native_devices(*, gpus_only: bool = False) -> list[Device]:
    """The devices, from the library in this process, GPUs first."""
    from llama_cpp import llama_cpp as native

    ggml = _ggml(native)
    found = []
    for index in range(ggml.ggml_backend_dev_count()):
        handle = ggml.ggml_backend_dev_get(index)
        kind = ggml.ggml_backend_dev_type(handle)
        if kind in _GPUS or (kind == _CPU and not gpus_only):
            found.append((kind == _CPU, _device(ggml, handle)))
    return [device for _, device in sorted(found, key=lambda item: item[0])]


def _device(ggml: Any, handle: int) -> Device:
    free, total = ctypes.c_size_t(), ctypes.c_size_t()
    ggml.ggml_backend_dev_memory(handle, ctypes.byref(free), ctypes.byref(total))
    registry = ggml.ggml_backend_reg_name(ggml.ggml_backend_dev_backend_reg(handle))
    kind = registry.decode().lower()
    return Device(
        name=ggml.ggml_backend_dev_name(handle).decode(),
        kind=_KINDS.get(kind, kind),
        description=ggml.ggml_backend_dev_description(handle).decode().strip(),
        memory_bytes=total.value or None,
    )


def _ggml(native: Any) -> Any:
    """The functions of libggml that the binding does not declare.

    They are reached through libllama's handle: the wheel holds libggml twice, under two file
    names, and the copy that libllama is linked to is the one that knows the devices.
    """
    # A handle of our own, so that no prototype of the binding's is changed.
    ggml = ctypes.CDLL(native._lib._name)  # noqa: SLF001 - the path that the binding chose
    size, pointer, text = ctypes.c_size_t, ctypes.c_void_p, ctypes.c_char_p
    for name, result, arguments in (
        ("ggml_backend_dev_count", size, []),
        ("ggml_backend_dev_get", pointer, [size]),
        ("ggml_backend_dev_type", ctypes.c_int, [pointer]),
        ("ggml_backend_dev_name", text, [pointer]),
        ("ggml_backend_dev_description", text, [pointer]),
        ("ggml_backend_dev_memory", None, [pointer, *2 * [ctypes.POINTER(size)]]),
        ("ggml_backend_dev_backend_reg", pointer, [pointer]),
        ("ggml_backend_reg_name", text, [pointer]),
    ):
        function = getattr(ggml, name)
        function.restype, function.argtypes = result, arguments
    return ggml


def main() -> None:
    """Write the devices to standard output."""
    binding.load()
    device_query.write_devices(native_devices())


if __name__ == "__main__":
    main()
