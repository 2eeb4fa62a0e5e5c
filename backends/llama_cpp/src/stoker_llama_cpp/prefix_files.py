"""Prefixes in files, which outlive the process.

They are written under another name and renamed when complete, so that processes may share a folder
and end at any time.
"""

from __future__ import annotations

import contextlib
import hashlib
import logging
import os
import queue
import tempfile
import threading
import time
from array import array
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import attrs
import msgspec

from stoker_llama_cpp.prefix_file import (
    DamagedFileError,
    FiledRow,
    name_of,
    read_row,
    read_state,
    write_state,
)

_LOGGER = logging.getLogger(__name__)

_SUFFIX = ".prefix"
_PARTIAL = ".partial"
_PARTIAL_AGE_S = 3600.0
_HEAD_BYTES = 2**16
"""More than what stands before the state of most files."""

WAITING_BYTES = 2**29
"""How much may wait for being written, beside a first one: what comes then is dropped."""
CLOSE_TIMEOUT_S = 3.0
"""How long `close` writes; the supervisor gives a runner 5 s to end."""


@attrs.frozen
class _Waiting:
    """What is to be written."""

    row: FiledRow
    state: memoryview
    used_ns: int


class PrefixFiles:
    """The files of one model with certain settings, in a folder that it shares with others.

    Files are written by one thread and read by another, so nothing here takes long but `scan` and
    `close`. All models together keep to a limit; the least recently used files are removed. A
    file's time of modification says when it was used.
    """

    def __init__(
        self, folder: Path, identity: Mapping[str, str | int], *, limit_bytes: int
    ) -> None:
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
        # What the thread has not written yet; guarded by the lock.
        self._lock = threading.Lock()
        self._waiting: dict[str, _Waiting] = {}
        self._names: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        self._most_waiting_bytes = WAITING_BYTES
        self._deadline_s = float("inf")
        self._writer = threading.Thread(target=self._write_all, name="prefix writer", daemon=True)
        self._writer.start()
        self._reader = ThreadPoolExecutor(1, "prefix reader")

    def name(self, tokens: array[int], start: int) -> str:
        """The name of the file of a row, from where its state begins."""
        return name_of(self._key, tokens, start)

    def scan(self) -> list[tuple[str, FiledRow]]:
        """The names of the files and what they say. Files that are damaged are removed."""
        rows = []
        for path in self._folder.glob(f"*{_SUFFIX}"):
            with self._careful(path):
                rows.append((path.stem, read_row(path, self._key)))
        return rows

    def fetch(self, name: str) -> Future[memoryview | None]:
        """Begin to read the state in a file.

        Returns:
            The state; None when the file is not there any more, or not as it was written.
        """
        with self._lock:
            waiting = self._waiting.get(name)
        if waiting is None:
            return self._reader.submit(self._read, name)
        known: Future[memoryview | None] = Future()
        known.set_result(waiting.state)
        return known

    def write(
        self, tokens: array[int], start: int, parent: str, state: memoryview, *, used_ns: int
    ) -> bool:
        """Have a state written, soon.

        Args:
            tokens: Of the whole prefix.
            start: Where the state begins.
            parent: The name of the file with what is before that; empty for none.
            state: Must not change any more.
            used_ns: When it was last used, since 1970.

        Returns:
            Whether it is written or will be, as far as can be told now.
        """
        name = self.name(tokens, start)
        if len(state) + _HEAD_BYTES > self._limit_bytes:
            return False
        with contextlib.suppress(OSError):
            os.utime(self._path(name), ns=(used_ns, used_ns))
            return True
        with self._lock:
            if name not in self._waiting:
                waiting_bytes = sum(len(waiting.state) for waiting in self._waiting.values())
                if waiting_bytes and waiting_bytes + len(state) > self._most_waiting_bytes:
                    return False
                row = FiledRow(tokens, start, parent)
                self._waiting[name] = _Waiting(row, state, used_ns)
                self._names.put(name)
        return True

    def remove(self, name: str) -> None:
        """Remove a file that turned out to be of no use; one that is gone is no matter."""
        with contextlib.suppress(OSError):
            self._path(name).unlink()

    def hurry(self) -> None:
        """Take as much as comes from now on, because `close` follows, which will take the time."""
        self._most_waiting_bytes = 2**63

    def close(self) -> None:
        """Wait, for some seconds at most, until what waits is written."""
        self._deadline_s = time.monotonic() + CLOSE_TIMEOUT_S
        self._names.put(None)
        self._writer.join(CLOSE_TIMEOUT_S)
        self._reader.shutdown(wait=False, cancel_futures=True)

    def _write_all(self) -> None:
        while (name := self._names.get()) is not None:
            waiting = self._waiting[name]
            if time.monotonic() < self._deadline_s:
                try:
                    self._trim(len(waiting.state) + _HEAD_BYTES)
                    self._write(name, waiting)
                except OSError as exc:
                    _LOGGER.warning("A prefix could not be written: %s.", exc)
            with self._lock:
                del self._waiting[name]

    def _write(self, name: str, waiting: _Waiting) -> None:
        self._folder.mkdir(mode=0o700, exist_ok=True)
        # Only the owner may read what mkstemp makes.
        descriptor, partial = tempfile.mkstemp(suffix=_PARTIAL, dir=self._folder)
        try:
            with os.fdopen(descriptor, "wb") as file:
                write_state(file, self._key, waiting.row, waiting.state)
            os.utime(partial, ns=(waiting.used_ns, waiting.used_ns))
            Path(partial).replace(self._path(name))
        except BaseException:
            Path(partial).unlink(missing_ok=True)
            raise

    def _read(self, name: str) -> memoryview | None:
        path, state = self._path(name), None
        with self._careful(path):
            state = read_state(path, self._key)
        return state  # noqa: RET504 - what is wrong with a file ends the block, and nothing else

    def _trim(self, coming_bytes: int) -> None:
        """Remove the least recently used files of all models, and what killed processes left."""
        now_s = time.time()
        for path in self._root.glob(f"*/*{_PARTIAL}"):
            with contextlib.suppress(FileNotFoundError):
                if now_s - path.stat().st_mtime > _PARTIAL_AGE_S:
                    path.unlink()
        files = []
        for path in self._root.glob(f"*/*{_SUFFIX}"):
            with contextlib.suppress(FileNotFoundError):
                status = path.stat()
                files.append((status.st_mtime_ns, status.st_size, path))
        excess_bytes = sum(size for _, size, _ in files) + coming_bytes - self._limit_bytes
        for _, size, path in sorted(files):
            if excess_bytes <= 0:
                return
            path.unlink(missing_ok=True)
            excess_bytes -= size

    @contextlib.contextmanager
    def _careful(self, path: Path) -> Iterator[None]:
        """Remove a file that is not as it was written; one that is gone is no matter."""
        try:
            yield
        except FileNotFoundError:
            pass
        except (OSError, DamagedFileError) as exc:
            _LOGGER.warning("%s cannot be used and is removed: %s.", path, exc)
            with contextlib.suppress(OSError):
                path.unlink()

    def _path(self, name: str) -> Path:
        return self._folder / f"{name}{_SUFFIX}"
