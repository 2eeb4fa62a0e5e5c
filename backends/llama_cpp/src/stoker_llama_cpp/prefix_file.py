"""A prefix in a file: how it is written, and checked when it is read.

A file is a magic number, the size and the digest of its head, the head, and the state::

    stoker-llama-cpp/prefix/1 | 4 bytes | 32 bytes | head (msgpack) | state

The head has all tokens of the prefix, so a file tells what was written, and the digest of the
state. Whatever is not exactly as it was written is never used.
"""

from __future__ import annotations

import hashlib
import os
import struct
from array import array
from pathlib import Path
from typing import BinaryIO

import attrs
import msgspec

_MAGIC = b"stoker-llama-cpp/prefix/1"
_FIXED = struct.Struct(f"<{len(_MAGIC)}sI32s")
_MAX_HEAD_BYTES = 2**26


class DamagedFileError(Exception):
    """A file is not as it was written."""


class _Head(msgspec.Struct, frozen=True):
    key: bytes
    start: int
    parent: str
    tokens: bytes
    state_bytes: int
    state_digest: bytes


@attrs.frozen
class FiledRow:
    """What a file says of itself."""

    tokens: array[int]
    start: int
    """Where the file's state begins."""
    parent: str
    """The name of the file that has the tokens before `start`; empty for none."""


def name_of(key: bytes, tokens: array[int], start: int) -> str:
    """The name of a row's file: a digest of all that tells it from others."""
    digest = hashlib.sha256(key + struct.pack("<Q", start))
    digest.update(_packed(tokens))
    return digest.hexdigest()


def write_state(file: BinaryIO, key: bytes, row: FiledRow, state: memoryview) -> None:
    """Write a whole file. Takes a second for a gigabyte."""
    head = _Head(
        key,
        row.start,
        row.parent,
        _packed(row.tokens),
        len(state),
        hashlib.sha256(state).digest(),
    )
    content = msgspec.msgpack.encode(head)
    file.write(_FIXED.pack(_MAGIC, len(content), hashlib.sha256(content).digest()))
    file.write(content)
    file.write(state)


def read_row(path: Path, key: bytes) -> FiledRow:
    """Read what a file says of itself, and check that it is what its name says.

    Raises:
        DamagedFileError: It is not.
        OSError: It cannot be read.
    """
    with path.open("rb") as file:
        head = _head(file, key, path.stem)
    return FiledRow(_unpacked(head.tokens), head.start, head.parent)


def read_state(path: Path, key: bytes) -> memoryview:
    """Read a file's state, and check it.

    Raises:
        DamagedFileError: The file is not as it was written.
        OSError: It cannot be read.
    """
    with path.open("rb") as file:
        head = _head(file, key, path.stem)
        state = memoryview(bytearray(head.state_bytes))
        if file.readinto(state) != head.state_bytes or file.read(1):
            raise DamagedFileError("it is cut off")
    if hashlib.sha256(state).digest() != head.state_digest:
        raise DamagedFileError("its state has another digest")
    return state


def _head(file: BinaryIO, key: bytes, name: str) -> _Head:
    fixed = file.read(_FIXED.size)
    if len(fixed) < _FIXED.size:
        raise DamagedFileError("it is cut off")
    magic, size, digest = _FIXED.unpack(fixed)
    if magic != _MAGIC or size > _MAX_HEAD_BYTES:
        raise DamagedFileError("it is something else")
    content = file.read(size)
    if hashlib.sha256(content).digest() != digest:
        raise DamagedFileError("its head has another digest")
    try:
        head = msgspec.msgpack.decode(content, type=_Head)
        tokens = _unpacked(head.tokens)
    except (msgspec.MsgspecError, ValueError) as exc:
        raise DamagedFileError("its head cannot be read") from exc
    if head.key != key or name_of(key, tokens, head.start) != name:
        raise DamagedFileError("it is of another model or prefix")
    # Before memory is set aside for what the head says.
    if os.fstat(file.fileno()).st_size != _FIXED.size + size + head.state_bytes:
        raise DamagedFileError("it is cut off")
    return head


def _packed(tokens: array[int]) -> bytes:
    """Tokens as they stand in files: in the machine's own order of bytes, as states do."""
    return tokens.tobytes()


def _unpacked(content: bytes) -> array[int]:
    return array("i", content)
