"""Prefixes in files, which outlive the process.

A file is a magic number, the size and the digest of its head, the head, and the state::

    stoker-llama-cpp/prefix/1 | 4 bytes | 32 bytes | head (msgpack) | state

It is written under another name and renamed when it is complete, so processes may share a folder
and may end at any time. Whatever is not exactly as it was written is never used.
"""

from __future__ import annotations

import contextlib
import hashlib
import logging
import os
import queue
import struct
import tempfile
import threading
import time
from array import array
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import BinaryIO

import attrs
import msgspec
import numpy as np

_LOGGER = logging.getLogger(__name__)

_MAGIC = b"stoker-llama-cpp/prefix/1"
_FIXED = struct.Struct(f"<{len(_MAGIC)}sI32s")
_MAX_HEAD_BYTES = 2**26
_SUFFIX = ".prefix"
_PARTIAL = ".partial"
_PARTIAL_AGE_S = 3600.0

WAITING_BYTES = 2**29
"""How much may wait for being written, beside a first one: what comes then is dropped."""
CLOSE_TIMEOUT_S = 3.0
"""How long `close` writes; the supervisor gives a runner 5 s to end."""


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
    parent: str
    """The name of the file that has the tokens before `start`; empty for none."""


class PrefixFiles:
    """The files of one model with certain settings, in a folder that it shares with others.

    Files are written by a thread of their own. Reading is done in the thread that calls.

    All models together keep to a limit; the least recently used files are removed.
    """

    def __init__(self, folder: Path, identity: Mapping[str, str | int], *, limit_bytes: int) -> None:
        """Take a folder that exists.

        Args:
            folder: Of all models.
            identity: What a state depends on beside its tokens. Others' files are not seen.
            limit_bytes: Most bytes of all files in the folder.
        """
        self._key = hashlib.sha256(msgspec.json.encode(sorted(identity.items()))).digest()
        self._root = folder
        self._folder = folder / self._key.hex()[:32]
        self._limit_bytes = limit_bytes
        # `_waiting` is what the thread has not written yet, and guarded by the lock.
        self._lock = threading.Lock()
        self._waiting: dict[str, tuple[_Head, memoryview]] = {}
        self._names: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        self._deadline_s = float("inf")
        self._thread = threading.Thread(target=self._write_all, name="prefix files", daemon=True)
        self._thread.start()

    def name(self, tokens: array[int], start: int) -> str:
        """The name of the file of a row, from where its state begins."""
        digest = hashlib.sha256(self._key + struct.pack("<Q", start))
        digest.update(_packed(tokens))
        return digest.hexdigest()

    def scan(self) -> list[tuple[str, FiledRow]]:
        """The names of the files and what they say, the least recently used first."""
        rows = []
        for path in sorted(self._folder.glob(f"*{_SUFFIX}"), key=_used_s):
            with self._careful(path), path.open("rb") as file:
                head = self._head(file, path.stem)
                rows.append((path.stem, FiledRow(_unpacked(head.tokens), head.start, head.parent)))
        return rows

    def read(self, name: str) -> memoryview | None:
        """The state in a file; None when it is not there any more, or not as it was written."""
        with self._lock:
            if name in self._waiting:
                return self._waiting[name][1]
        path = self._path(name)
        with self._careful(path), path.open("rb") as file:
            head = self._head(file, name)
            state = memoryview(np.empty(head.state_bytes, dtype=np.uint8))
            if file.readinto(state) != head.state_bytes or file.read(1):
                raise _DamagedError("it is cut off")
            if hashlib.sha256(state).digest() != head.state_digest:
                raise _DamagedError("its state has another digest")
            os.utime(path)
            return state
        return None

    def write(self, tokens: array[int], start: int, parent: str, state: memoryview) -> bool:
        """Have a state written, soon.

        Returns:
            Whether it is written or will be, as far as can be told now.
        """
        name = self.name(tokens, start)
        if len(state) > self._limit_bytes:
            return False
        with contextlib.suppress(OSError):
            os.utime(self._path(name))
            return True
        with self._lock:
            waiting_bytes = sum(len(waiting) for _, waiting in self._waiting.values())
            if name not in self._waiting:
                if waiting_bytes and waiting_bytes + len(state) > WAITING_BYTES:
                    return False
                head = _Head(self._key, start, parent, _packed(tokens), len(state), b"")
                self._waiting[name] = head, state
                self._names.put(name)
        return True

    def close(self) -> None:
        """Wait, for some seconds at most, until what waits is written."""
        self._deadline_s = time.monotonic() + CLOSE_TIMEOUT_S
        self._names.put(None)
        self._thread.join(CLOSE_TIMEOUT_S)

    def _write_all(self) -> None:
        while (name := self._names.get()) is not None:
            head, state = self._waiting[name]
            if time.monotonic() < self._deadline_s:
                try:
                    self._write(name, head, state)
                    self._trim()
                except OSError as exc:
                    _LOGGER.warning("A prefix could not be written: %s.", exc)
            with self._lock:
                del self._waiting[name]

    def _write(self, name: str, head: _Head, state: memoryview) -> None:
        digest = hashlib.sha256(state).digest()
        content = msgspec.msgpack.encode(msgspec.structs.replace(head, state_digest=digest))
        self._folder.mkdir(mode=0o700, exist_ok=True)
        # Only the owner may read what mkstemp makes.
        descriptor, partial = tempfile.mkstemp(suffix=_PARTIAL, dir=self._folder)
        try:
            with open(descriptor, "wb") as file:
                file.write(_FIXED.pack(_MAGIC, len(content), hashlib.sha256(content).digest()))
                file.write(content)
                file.write(state)
            Path(partial).replace(self._path(name))
        except BaseException:
            Path(partial).unlink(missing_ok=True)
            raise

    def _trim(self) -> None:
        """Remove the least recently used files of all models, and what killed processes left."""
        now_s = time.time()
        for path in self._root.glob(f"*/*{_PARTIAL}"):
            if now_s - _used_s(path) > _PARTIAL_AGE_S:
                path.unlink(missing_ok=True)
        files = []
        for path in self._root.glob(f"*/*{_SUFFIX}"):
            with contextlib.suppress(FileNotFoundError):
                files.append((path.stat().st_mtime, path.stat().st_size, path))
        excess_bytes = sum(size for _, size, _ in files) - self._limit_bytes
        for _, size, path in sorted(files):
            if excess_bytes <= 0:
                return
            path.unlink(missing_ok=True)
            excess_bytes -= size

    def _head(self, file: BinaryIO, name: str) -> _Head:
        """Read a file up to its state, and check that it is what its name says."""
        fixed = file.read(_FIXED.size)
        if len(fixed) < _FIXED.size:
            raise _DamagedError("it is cut off")
        magic, size, digest = _FIXED.unpack(fixed)
        if magic != _MAGIC or size > _MAX_HEAD_BYTES:
            raise _DamagedError("it is something else")
        content = file.read(size)
        if hashlib.sha256(content).digest() != digest:
            raise _DamagedError("its head has another digest")
        head = msgspec.msgpack.decode(content, type=_Head)
        if head.key != self._key or self.name(_unpacked(head.tokens), head.start) != name:
            raise _DamagedError("it is of another model or prefix")
        if os.fstat(file.fileno()).st_size != _FIXED.size + size + head.state_bytes:
            raise _DamagedError("it is cut off")
        return head

    @contextlib.contextmanager
    def _careful(self, path: Path) -> Iterator[None]:
        """Remove a file that is not as it was written; one that is gone is no matter."""
        try:
            yield
        except FileNotFoundError:
            pass
        except (OSError, ValueError, msgspec.MsgspecError, _DamagedError) as exc:
            _LOGGER.warning("%s cannot be used and is removed: %s.", path, exc)
            with contextlib.suppress(OSError):
                path.unlink(missing_ok=True)

    def _path(self, name: str) -> Path:
        return self._folder / f"{name}{_SUFFIX}"


class _DamagedError(Exception):
    """A file is not as it was written."""


def _used_s(path: Path) -> float:
    """When a file was last used; 0 when it is gone."""
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0


def _packed(tokens: array[int]) -> bytes:
    """Tokens as they stand in files: 32 bits each, little-endian."""
    return np.frombuffer(tokens, dtype=np.int32).astype("<i4").tobytes()


def _unpacked(content: bytes) -> array[int]:
    return array("i", np.frombuffer(content, dtype="<i4").astype(np.int32).tobytes())
