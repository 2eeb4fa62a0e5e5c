"""The archive of answers, in one SQLite file that only its owner can read."""

from __future__ import annotations

import asyncio
import os
import sqlite3
import time
import zlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

from stoker.archive import Record
from stoker.control.place import private_directory
from stoker.errors import NotFoundError, OverloadedError, UnavailableError

_T = TypeVar("_T")

TIMEOUT_S = 10.0
"""How long a caller waits for the disk."""
MAX_WAITING = 256
"""Calls that may wait for the disk; further ones are refused."""
RETRY_AFTER_S = 1.0

_VERSION = 1
"""Of the table; a file of another version is emptied, because nobody may rely on its records."""
_FAST = 1
"""zlib's level: conversations shrink to a third with it, and more effort gains little."""

_SCHEMA = f"""
DROP TABLE IF EXISTS records;
CREATE TABLE records (
    owner TEXT NOT NULL,
    id TEXT NOT NULL,
    created_s INTEGER NOT NULL,
    size_bytes INTEGER NOT NULL,
    data BLOB NOT NULL,
    PRIMARY KEY (owner, id)
);
CREATE INDEX by_age ON records (created_s, size_bytes);
PRAGMA user_version = {_VERSION};
"""


class SqliteArchive:
    """Keeps records until they are too old, or too many.

    The connection belongs to the one worker thread, which also orders the calls. It is opened by
    the first of them, so that a server nobody asks for records has no file.
    """

    def __init__(
        self,
        path: Path,
        *,
        max_bytes: int,
        max_age_s: float,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """Remember what is allowed.

        Args:
            path: The file; its folder is made when it is needed.
            max_bytes: Of all records together, as they are stored; the oldest go first.
            max_age_s: Older records are gone.
            clock: Tells the seconds since the epoch.
        """
        self._path = path
        self._max_bytes = max_bytes
        self._max_age_s = max_age_s
        self._clock = clock
        self._worker = ThreadPoolExecutor(max_workers=1, thread_name_prefix="archive")
        self._waiting = 0
        self._closed = False
        self._connection: sqlite3.Connection | None = None

    async def put(self, owner: str, record: Record) -> None:
        """Keep a record; see `stoker.archive.Archive`."""
        await self._run(lambda: self._put(owner, record))

    async def get(self, owner: str, record_id: str) -> Record:
        """Find a record; see `stoker.archive.Archive`."""
        return await self._run(lambda: self._get(owner, record_id))

    async def remove(self, owner: str, record_id: str) -> None:
        """Remove a record; see `stoker.archive.Archive`."""
        await self._run(lambda: self._remove(owner, record_id))

    async def close(self) -> None:
        """Close the file; only `close` itself may be called after it, and does nothing."""
        if self._closed:
            return
        self._closed = True
        try:
            await self._run(self._close)
        finally:
            self._worker.shutdown(wait=False)

    async def _run(self, work: Callable[[], _T]) -> _T:
        """Let the worker do something, and wait for it.

        Raises:
            UnavailableError: The disk is slow, or SQLite fails.
        """
        if self._waiting >= MAX_WAITING:
            raise OverloadedError(
                "Too many requests wait for the archive of answers: try again.",
                retry_after_s=RETRY_AFTER_S,
            )
        self._waiting += 1
        future = asyncio.get_running_loop().run_in_executor(self._worker, work)
        future.add_done_callback(self._done)
        try:
            async with asyncio.timeout(TIMEOUT_S):
                return await asyncio.shield(future)
        except TimeoutError as exc:
            raise UnavailableError(
                f"The archive of answers did not respond within {TIMEOUT_S:g} seconds: its disk"
                " is too busy."
            ) from exc
        except (sqlite3.Error, OSError, zlib.error) as exc:
            raise UnavailableError(
                f"The archive of answers, {self._path}, cannot be used: {exc}. It may be removed"
                " while the server is stopped; the answers in it are lost then."
            ) from exc

    def _done(self, future: asyncio.Future[_T]) -> None:
        self._waiting -= 1
        # A caller that gave up waiting does not look.
        if not future.cancelled():
            future.exception()

    # What follows runs in the worker.

    def _opened(self) -> sqlite3.Connection:
        if self._connection is None:
            private_directory(self._path.parent)
            # SQLite gives its further files the mode of this one.
            os.close(os.open(self._path, os.O_CREAT | os.O_RDWR, 0o600))
            self._path.chmod(0o600)
            connection = sqlite3.connect(self._path, isolation_level=None, check_same_thread=False)
            try:
                _prepare(connection)
            except sqlite3.Error:
                connection.close()
                raise
            self._connection = connection
        return self._connection

    def _put(self, owner: str, record: Record) -> None:
        data = zlib.compress(record.data, _FAST)
        connection = self._opened()
        with _transaction(connection):
            connection.execute(
                "INSERT OR REPLACE INTO records VALUES (?, ?, ?, ?, ?)",
                (owner, record.id, record.created_s, len(data), data),
            )
            self._tidy(connection)

    def _tidy(self, connection: sqlite3.Connection) -> None:
        connection.execute("DELETE FROM records WHERE created_s < ?", (self._oldest_s(),))
        (total,) = connection.execute("SELECT total(size_bytes) FROM records").fetchone()
        excess = int(total) - self._max_bytes
        if excess <= 0:
            return
        rows = connection.execute("SELECT rowid, size_bytes FROM records ORDER BY created_s, rowid")
        goners = []
        for row, size_bytes in rows:
            goners.append((row,))
            excess -= size_bytes
            if excess <= 0:
                break
        connection.executemany("DELETE FROM records WHERE rowid = ?", goners)

    def _get(self, owner: str, record_id: str) -> Record:
        row = (
            self._opened()
            .execute(
                "SELECT created_s, data FROM records WHERE owner = ? AND id = ? AND created_s >= ?",
                (owner, record_id, self._oldest_s()),
            )
            .fetchone()
        )
        if row is None:
            raise _not_found(record_id)
        return Record(record_id, row[0], zlib.decompress(row[1]))

    def _remove(self, owner: str, record_id: str) -> None:
        cursor = self._opened().execute(
            "DELETE FROM records WHERE owner = ? AND id = ? AND created_s >= ?",
            (owner, record_id, self._oldest_s()),
        )
        if not cursor.rowcount:
            raise _not_found(record_id)

    def _oldest_s(self) -> float:
        return self._clock() - self._max_age_s

    def _close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None


class _transaction:  # noqa: N801 - reads as a verb in `with`, like those of contextlib
    """All of a block's statements, or none."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def __enter__(self) -> None:
        self._connection.execute("BEGIN IMMEDIATE")

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self._connection.execute("COMMIT" if kind is None else "ROLLBACK")


def _prepare(connection: sqlite3.Connection) -> None:
    # What is deleted is overwritten, not only forgotten.
    connection.execute("PRAGMA secure_delete = ON")
    connection.execute("PRAGMA journal_mode = WAL")
    # A power cut may take the last answers with it, but never the file.
    connection.execute("PRAGMA synchronous = NORMAL")
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if version != _VERSION:
        connection.executescript(_SCHEMA)


def _not_found(record_id: str) -> NotFoundError:
    return NotFoundError(
        f"There is no answer {record_id!r} of yours here: it was never kept, or it is gone."
    )
