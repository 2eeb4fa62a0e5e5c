"""Small GGUF files, and walking through any."""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from typing import Any

HEADER_BYTES = 24
"""Magic, version, and the numbers of tensors and of keys."""
_NUMBER_BYTES = {0: 1, 1: 1, 2: 2, 3: 2, 4: 4, 5: 4, 6: 4, 7: 1, 10: 8, 11: 8, 12: 8}
_TEXT, _LIST = 8, 9


class Walk:
    """Walks through a GGUF file, and trusts it: it is one of the tests' own.

    See https://github.com/ggml-org/ggml/blob/master/docs/gguf.md.

    Attributes:
        place: How far it has come, in bytes.
        tensor_count: As the header says.
        key_count: Likewise.
    """

    def __init__(self, data: bytes) -> None:
        """Stand behind the header."""
        self._data = data
        self.tensor_count, self.key_count = struct.unpack_from("<QQ", data, 8)
        self.place = HEADER_BYTES

    def take(self, layout: str) -> Any:
        """The next value, or several as a tuple."""
        value = struct.unpack_from(f"<{layout}", self._data, self.place)
        self.place += struct.calcsize(f"<{layout}")
        return value if len(value) > 1 else value[0]

    def text(self) -> bytes:
        """The next text."""
        length = self.take("Q")
        self.place += length
        return self._data[self.place - length : self.place]

    def skip_keys(self) -> None:
        """Go behind the metadata."""
        for _ in range(self.key_count):
            self.text()
            self._skip(self.take("I"))

    @property
    def data_place(self) -> int:
        """Where the data begins, when all tensors' entries were walked through."""
        return -(-self.place // 32) * 32

    def _skip(self, kind: int) -> None:
        if kind == _TEXT:
            self.text()
        elif kind == _LIST:
            item, count = self.take("IQ")
            for _ in range(count):
                self._skip(item)
        else:
            self.place += _NUMBER_BYTES[kind]


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
