"""The header of a GGUF file: what it says of its model, without reading any weights.

The reader skips long arrays (a vocabulary has hundreds of thousands of strings) instead of building
lists of them, and trusts no count or length that it finds.

https://github.com/ggml-org/ggml/blob/master/docs/gguf.md
"""

from __future__ import annotations

import itertools
import math
import os
import struct
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import BinaryIO

import attrs

from stoker.errors import InvalidArtifactError, InvalidInputError

MAGIC = b"GGUF"

Scalar = str | int | float | bool
_Place = tuple[str, tuple[int, ...], int, int]

_VERSIONS = (2, 3)
_STRING = 8
_ARRAY = 9
_SCALARS = {
    0: "<B",
    1: "<b",
    2: "<H",
    3: "<h",
    4: "<I",
    5: "<i",
    6: "<f",
    7: "<?",
    10: "<Q",
    11: "<q",
    12: "<d",
}

# Far above any real file, and small enough that a hostile header is refused within a second or two.
_MAX_KEYS = 65_536
_MAX_TENSORS = 100_000
_MAX_STRING_BYTES = 16 * 1024 * 1024
_MAX_TEXT_BYTES = 64 * 1024 * 1024
_MAX_ARRAY_STRINGS = 8_000_000
_MAX_ARRAY_DEPTH = 4
_MAX_DIMENSIONS = 8
_MAX_KEPT_NUMBERS = 1024
"""Longer arrays are no settings of layers, but vocabularies."""
_BLOCK_BYTES = 1024 * 1024

# `general.file_type`: the format's description has the first of the numbers, this has all:
# https://github.com/ggml-org/llama.cpp/blob/master/include/llama.h (`enum llama_ftype`).
_FILE_TYPES = {
    0: "F32",
    1: "F16",
    2: "Q4_0",
    3: "Q4_1",
    7: "Q8_0",
    8: "Q5_0",
    9: "Q5_1",
    10: "Q2_K",
    11: "Q3_K_S",
    12: "Q3_K_M",
    13: "Q3_K_L",
    14: "Q4_K_S",
    15: "Q4_K_M",
    16: "Q5_K_S",
    17: "Q5_K_M",
    18: "Q6_K",
    19: "IQ2_XXS",
    20: "IQ2_XS",
    21: "Q2_K_S",
    22: "IQ3_XS",
    23: "IQ3_XXS",
    24: "IQ1_S",
    25: "IQ4_NL",
    26: "IQ3_S",
    27: "IQ3_M",
    28: "IQ2_S",
    29: "IQ2_M",
    30: "IQ4_XS",
    31: "IQ1_M",
    32: "BF16",
    36: "TQ1_0",
    37: "TQ2_0",
    38: "MXFP4_MOE",
    39: "NVFP4",
    40: "Q1_0",
    41: "Q2_0",
}


@attrs.frozen
class GgufTensor:
    """One tensor of a file."""

    name: str
    shape: tuple[int, ...]
    """The innermost dimension first, as the format has it: for a matrix (inputs, outputs)."""
    kind: int
    """Its type, an `enum ggml_type`."""
    size_bytes: int
    """What it takes in the file, the padding behind it included."""


@attrs.frozen
class GgufHeader:
    """What a header holds, contents of long arrays left out."""

    version: int
    metadata: Mapping[str, Scalar]
    tensor_count: int
    parameter_count: int
    """Elements of all tensors of this file."""
    arrays: Mapping[str, tuple[int | float | bool, ...]] = attrs.field(factory=dict, repr=False)
    """Short arrays of numbers, such as settings of each layer."""
    array_lengths: Mapping[str, int] = attrs.field(factory=dict, repr=False)
    """Lengths of all arrays, the long ones and those of strings included."""
    tensors: tuple[GgufTensor, ...] = attrs.field(default=(), repr=False)

    def text(self, key: str) -> str | None:
        """A string, or None when the key is missing or holds something else."""
        value = self.metadata.get(key)
        return value if isinstance(value, str) and value else None

    def number(self, key: str) -> int | None:
        """A whole number, or None when the key is missing or holds something else."""
        value = self.metadata.get(key)
        return value if isinstance(value, int) and not isinstance(value, bool) else None

    @property
    def architecture(self) -> str | None:
        """The model's architecture, as the file names it (`qwen3`)."""
        return self.text("general.architecture")

    @property
    def context_length(self) -> int | None:
        """Tokens that the model was trained for."""
        return self.number(f"{self.architecture}.context_length")

    @property
    def quantization(self) -> str | None:
        """The mix of types, by its common name (`Q4_K_M`); None when it is not known."""
        file_type = self.number("general.file_type")
        return None if file_type is None else _FILE_TYPES.get(file_type)

    @property
    def shard_count(self) -> int:
        """How many files the model consists of."""
        return self.number("split.count") or 1

    @property
    def shard_index(self) -> int:
        """Which of the shards this file is, from 0."""
        return self.number("split.no") or 0


def read_gguf_header(path: Path) -> GgufHeader:
    """Read the header of a GGUF file.

    Raises:
        InvalidInputError: There is no such file, or it cannot be read.
        InvalidArtifactError: It is no GGUF file of version 2 or 3, or ends too early.
    """
    try:
        with path.open("rb", buffering=_BLOCK_BYTES) as file:
            return _Reader(path, file).header()
    except OSError as exc:
        raise InvalidInputError(f"{path} cannot be read: {exc.strerror or exc}.") from exc


class _Reader:
    """Reads one file, front to back."""

    def __init__(self, path: Path, file: BinaryIO) -> None:
        self._path = path
        self._file = file
        self._size_bytes = os.fstat(file.fileno()).st_size
        self._array_strings = 0
        self._text_bytes = 0
        self._arrays: dict[str, tuple[int | float | bool, ...]] = {}
        self._array_lengths: dict[str, int] = {}

    def header(self) -> GgufHeader:
        if self._file.read(4) != MAGIC:
            raise self._error("is not a GGUF file: it does not start with GGUF")
        version = self._number("<I")
        if version not in _VERSIONS:
            raise self._error(f"has GGUF version {version}; stoker reads 2 and 3, little-endian")
        tensor_count = self._count("<Q", _MAX_TENSORS, "tensors")
        key_count = self._count("<Q", _MAX_KEYS, "metadata keys")
        metadata: dict[str, Scalar] = {}
        for _ in range(key_count):
            key = self._string()
            value = self._value(key, self._number("<I"))
            if value is not None:
                metadata[key] = value
        places = [self._place() for _ in range(tensor_count)]
        alignment = metadata.get("general.alignment")
        alignment = max(alignment if isinstance(alignment, int) else 32, 1)
        data_bytes = self._size_bytes - -(-self._file.tell() // alignment) * alignment
        if any(offset > data_bytes for _, _, _, offset in places):
            raise self._error("ends before its last tensor: the file is incomplete")
        return GgufHeader(
            version,
            metadata,
            tensor_count,
            sum(math.prod(shape) for _, shape, _, _ in places),
            self._arrays,
            self._array_lengths,
            tuple(_tensors(places, data_bytes)),
        )

    def _place(self) -> _Place:
        """Read the name, shape, type and offset of a tensor."""
        name = self._string()
        dimensions = self._count("<I", _MAX_DIMENSIONS, "dimensions")
        shape = tuple(self._number("<Q") for _ in range(dimensions))
        return name, shape, self._number("<I"), self._number("<Q")

    def _value(self, key: str, kind: int) -> Scalar | None:
        """Read a value; arrays give None, and are kept by their key as far as anything is."""
        if kind == _STRING:
            return self._string()
        if kind == _ARRAY:
            self._array(key)
            return None
        return self._scalar(kind)

    def _array(self, key: str) -> None:
        start = self._file.tell()
        kind = self._number("<I")
        count = self._array_lengths[key] = self._number("<Q")
        if kind in _SCALARS and count <= _MAX_KEPT_NUMBERS:
            self._arrays[key] = tuple(self._scalar(kind) for _ in range(count))
        else:
            self._file.seek(start)
            self._skip_array(1)

    def _scalar(self, kind: int) -> int | float | bool:
        code = _SCALARS.get(kind)
        if code is None:
            raise self._error(f"has a value of type {kind}, which GGUF does not know")
        value: int | float | bool = struct.unpack(code, self._take(struct.calcsize(code)))[0]
        return value

    def _skip_array(self, depth: int) -> None:
        kind = self._number("<I")
        count = self._number("<Q")
        if kind in _SCALARS:
            self._skip(count * struct.calcsize(_SCALARS[kind]))
            return
        self._array_strings += count
        if self._array_strings > _MAX_ARRAY_STRINGS or depth > _MAX_ARRAY_DEPTH:
            raise self._error("has an array that is too large or too deep")
        if kind == _ARRAY:
            for _ in range(count):
                self._skip_array(depth + 1)
        elif kind == _STRING:
            self._skip_strings(count)
        else:
            raise self._error(f"has an array of type {kind}, which GGUF does not know")

    def _skip_strings(self, count: int) -> None:
        # The one hot loop: a vocabulary and its merges come through here, hundreds of thousands of
        # strings. So it hops over a block in memory, and finds its end by hopping too far.
        length_at = struct.Struct("<Q").unpack_from
        block = self._file.read(_BLOCK_BYTES)
        place = 0
        while count:
            try:
                while count:
                    place += 8 + length_at(block, place)[0]
                    count -= 1
            # A length beyond all addresses overflows; `_go` then tells that the file is shorter.
            except (struct.error, OverflowError) as exc:
                if place == 0:
                    raise self._error("ends within its header: the file is incomplete") from exc
            self._go(place - len(block))
            block, place = self._file.read(_BLOCK_BYTES) if count else b"", 0

    def _go(self, distance: int) -> None:
        """Move on, or back; what a string claims may lie far behind the end."""
        position = self._file.tell() + distance
        if position > self._size_bytes:
            raise self._error("ends within its header: the file is incomplete")
        self._file.seek(position)

    def _string(self) -> str:
        length = self._count("<Q", _MAX_STRING_BYTES, "bytes in a string")
        self._text_bytes += length
        if self._text_bytes > _MAX_TEXT_BYTES:
            raise self._error("has a header that is too large")
        return self._take(length).decode("utf-8", errors="replace")

    def _count(self, code: str, limit: int, what: str) -> int:
        count = self._number(code)
        if count > limit:
            raise self._error(f"claims {count} {what}")
        return count

    def _number(self, code: str) -> int:
        value: int = struct.unpack(code, self._take(struct.calcsize(code)))[0]
        return value

    def _take(self, count: int) -> bytes:
        data = self._file.read(count)
        if len(data) < count:
            raise self._error("ends within its header: the file is incomplete")
        return data

    def _skip(self, count: int) -> None:
        self._go(count)

    def _error(self, problem: str) -> InvalidArtifactError:
        return InvalidArtifactError(f"{self._path.name} {problem}.")


def _tensors(places: Sequence[_Place], data_bytes: int) -> Iterator[GgufTensor]:
    """Sizes from where the next tensor begins: so no table of types can be out of date."""
    ends = sorted({offset for _, _, _, offset in places} | {data_bytes})
    following = dict(itertools.pairwise(ends))
    for name, shape, kind, offset in places:
        yield GgufTensor(name, shape, kind, following.get(offset, offset) - offset)
