"""Small GGUF files."""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from typing import Any


def gguf_bytes(
    metadata: Mapping[str, Any] | None = None,
    tensors: Sequence[tuple[str, Sequence[int]]] = (("token_embd.weight", (4, 2)),),
    *,
    version: int = 3,
    padding: bytes = b"",
) -> bytes:
    """A small GGUF file: str, int, float, bool and lists of str or int as values."""
    metadata = {"general.architecture": "llama"} if metadata is None else metadata

    def text(value: str) -> bytes:
        return struct.pack("<Q", len(value.encode())) + value.encode()

    def value(item: Any) -> bytes:
        if isinstance(item, bool):
            return struct.pack("<I?", 7, item)
        if isinstance(item, int):
            return struct.pack("<II", 4, item)
        if isinstance(item, float):
            return struct.pack("<If", 6, item)
        if isinstance(item, str):
            return struct.pack("<I", 8) + text(item)
        kind = 8 if item and isinstance(item[0], str) else 4
        body = b"".join(text(i) if kind == 8 else struct.pack("<I", i) for i in item)
        return struct.pack("<IIQ", 9, kind, len(item)) + body

    data = b"GGUF" + struct.pack("<IQQ", version, len(tensors), len(metadata))
    for key, item in metadata.items():
        data += text(key) + value(item)
    offset = 0
    for name, shape in tensors:
        data += text(name) + struct.pack("<I", len(shape))
        data += b"".join(struct.pack("<Q", size) for size in shape)
        data += struct.pack("<IQ", 0, offset)
        offset += 32
    data += bytes(-len(data) % 32) + bytes(offset)
    return data + padding
