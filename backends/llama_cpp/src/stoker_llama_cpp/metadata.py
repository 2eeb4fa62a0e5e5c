"""Single values of a model file's metadata."""

from __future__ import annotations

import ctypes

from llama_cpp import llama_cpp as native

_VALUE_BYTES = 64


def whole_number(model: int, key: str) -> int | None:
    """A number of the metadata of a `llama_model`; None when it is missing or something else."""
    value = text(model, key)
    return int(value) if value is not None and value.isascii() and value.isdigit() else None


def text(model: int, key: str) -> str | None:
    """A short value of the metadata of a `llama_model`, as text; None when it is missing."""
    buffer = ctypes.create_string_buffer(_VALUE_BYTES)
    length = native.llama_model_meta_val_str(model, key.encode(), buffer, _VALUE_BYTES)
    return buffer.value.decode(errors="replace") if length > 0 else None
