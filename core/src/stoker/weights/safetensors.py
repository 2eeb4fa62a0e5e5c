"""The header of a safetensors file: which tensors there are, without reading any.

https://github.com/huggingface/safetensors/blob/main/README.md#format
"""

from __future__ import annotations

import math
import os
import struct
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import attrs
import msgspec

from stoker.errors import InvalidArtifactError, InvalidInputError
from stoker.wire.malformed import MALFORMED

_MAX_HEADER_BYTES = 32 * 1024 * 1024
"""Far above any real file: that is a quarter of a million tensors in one shard."""
_METADATA = "__metadata__"

_Length = Annotated[int, msgspec.Meta(ge=0)]


class _Tensor(msgspec.Struct, frozen=True):
    dtype: str
    shape: tuple[_Length, ...]
    data_offsets: tuple[_Length, _Length]


@attrs.frozen
class SafetensorsHeader:
    """What a header holds, in sums."""

    elements: Mapping[str, int]
    """Elements of all tensors of this file, by their type (`BF16`)."""
    metadata: Mapping[str, str]


def read_safetensors_header(path: Path) -> SafetensorsHeader:
    """Read the header of a safetensors file.

    Raises:
        InvalidInputError: There is no such file, or it cannot be read.
        InvalidArtifactError: It is no safetensors file, or ends too early.
    """
    try:
        with path.open("rb") as file:
            size_bytes = os.fstat(file.fileno()).st_size
            prefix = file.read(8)
            header_bytes = struct.unpack("<Q", prefix)[0] if len(prefix) == 8 else 0  # noqa: PLR2004
            if not 0 < header_bytes <= min(_MAX_HEADER_BYTES, size_bytes):
                raise InvalidArtifactError(
                    f"{path.name} is no safetensors file, or its header is too large."
                )
            data = file.read(header_bytes)
    except OSError as exc:
        raise InvalidInputError(f"{path} cannot be read: {exc.strerror or exc}.") from exc
    try:
        entries = msgspec.json.decode(data, type=dict[str, msgspec.Raw])
        metadata = msgspec.json.decode(entries.pop(_METADATA, b"{}"), type=dict[str, str])
        tensors = [msgspec.json.decode(entry, type=_Tensor) for entry in entries.values()]
    except MALFORMED as exc:
        raise InvalidArtifactError(
            f"{path.name} is no safetensors file: its header is malformed ({exc})."
        ) from exc
    end = max((tensor.data_offsets[1] for tensor in tensors), default=0)
    if 8 + header_bytes + end > size_bytes:
        raise InvalidArtifactError(
            f"{path.name} ends before its last tensor: the file is incomplete."
        )
    elements: Counter[str] = Counter()
    for tensor in tensors:
        elements[tensor.dtype] += math.prod(tensor.shape)
    return SafetensorsHeader(dict(elements), metadata)
