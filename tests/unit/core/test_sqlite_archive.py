"""The archive of answers, in one SQLite file."""

from __future__ import annotations

import asyncio
import sqlite3
import stat
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import attrs
import pytest

from stoker import sqlite_archive
from stoker.archive import Record
from stoker.errors import NotFoundError, OverloadedError, UnavailableError
from stoker.sqlite_archive import SqliteArchive

DAY_S = 24 * 3600


@attrs.define
class Clock:
    """A clock that a test sets."""

    now_s: float = 1_000_000.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state" / "answers.sqlite"


@pytest.fixture
async def make(path: Path, clock: Clock) -> AsyncIterator[Callable[..., SqliteArchive]]:
    """Makes archives of one file, and closes them."""
    made: list[SqliteArchive] = []

    def make(max_bytes: int = 2**20) -> SqliteArchive:
        made.append(SqliteArchive(path, max_bytes=max_bytes, max_age_s=DAY_S, clock=clock))
        return made[-1]

    yield make
    for archive in made:
        await archive.close()


def record(name: str, clock: Clock, data: bytes = b"data") -> Record:
    return Record(name, int(clock()), data)


def contents(path: Path) -> bytes:
    return path.read_bytes()


def is_there(path: Path) -> bool:
    return path.exists()


def modes(path: Path) -> set[int]:
    """The modes of the folder and of everything in it."""
    return {stat.S_IMODE(item.stat().st_mode) for item in (path.parent, *path.parent.iterdir())}


def leave_open(path: Path) -> None:
    path.parent.mkdir(mode=0o755)
    path.touch(mode=0o644)


def write_other_version(path: Path) -> None:
    path.parent.mkdir()
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE records (something)")
    connection.execute("PRAGMA user_version = 99")
    connection.close()


def write_nonsense(path: Path) -> None:
    path.parent.mkdir()
    path.write_bytes(b"This is no database, whatever its name says. " * 100)


async def test_records_come_back(make: Callable[..., SqliteArchive], clock: Clock) -> None:
    """What was put is got, with its time."""
    archive = make()
    kept = record("resp_1", clock, b"\x00 any bytes")

    await archive.put("alice", kept)

    assert kept == await archive.get("alice", "resp_1")


async def test_records_belong_to_one_owner(
    make: Callable[..., SqliteArchive], clock: Clock
) -> None:
    """Nobody gets or removes what is another's, and ids of two owners do not clash."""
    archive = make()
    await archive.put("alice", record("resp_1", clock, b"alice's"))

    with pytest.raises(NotFoundError):
        await archive.get("bob", "resp_1")
    with pytest.raises(NotFoundError):
        await archive.remove("bob", "resp_1")
    await archive.put("bob", record("resp_1", clock, b"bob's"))

    assert b"alice's" == (await archive.get("alice", "resp_1")).data
    assert b"bob's" == (await archive.get("bob", "resp_1")).data


async def test_a_record_is_replaced(make: Callable[..., SqliteArchive], clock: Clock) -> None:
    """The later one of an id counts."""
    archive = make()
    await archive.put("alice", record("resp_1", clock, b"old"))

    await archive.put("alice", record("resp_1", clock, b"new"))

    assert b"new" == (await archive.get("alice", "resp_1")).data


async def test_removed_records_are_gone(
    make: Callable[..., SqliteArchive], clock: Clock, path: Path
) -> None:
    """They are not found again, and the file does not hold their bytes any more."""
    archive = make()
    secret = bytes(range(256)) * 4
    await archive.put("alice", record("resp_1", clock, secret))

    await archive.remove("alice", "resp_1")

    with pytest.raises(NotFoundError, match="resp_1"):
        await archive.get("alice", "resp_1")
    with pytest.raises(NotFoundError):
        await archive.remove("alice", "resp_1")
    await archive.close()
    assert b"resp_1" not in contents(path)


async def test_records_survive_a_restart(make: Callable[..., SqliteArchive], clock: Clock) -> None:
    """Another archive of the same file has them."""
    first = make()
    await first.put("alice", record("resp_1", clock))
    await first.close()

    assert b"data" == (await make().get("alice", "resp_1")).data


async def test_old_records_are_gone(make: Callable[..., SqliteArchive], clock: Clock) -> None:
    """Beyond their age they are not found, and the next one that is put sweeps them out."""
    archive = make()
    await archive.put("alice", record("resp_1", clock))
    clock.now_s += DAY_S + 1

    with pytest.raises(NotFoundError):
        await archive.get("alice", "resp_1")
    with pytest.raises(NotFoundError):
        await archive.remove("alice", "resp_1")
    await archive.put("alice", record("resp_2", clock))
    clock.now_s -= DAY_S

    with pytest.raises(NotFoundError):
        await archive.get("alice", "resp_1")


async def test_the_oldest_make_room(make: Callable[..., SqliteArchive], clock: Clock) -> None:
    """Beyond the size the oldest go, whoever's they are, and no more of them than must."""
    archive = make(max_bytes=2500)
    for i in range(3):
        # What does not shrink.
        noise = bytes((i * 7919 + j * j * 31 + (j >> 3) * 17) % 251 for j in range(1000))
        clock.now_s += 1
        await archive.put(f"owner-{i}", record("resp_1", clock, noise))

    with pytest.raises(NotFoundError):
        await archive.get("owner-0", "resp_1")
    assert 1000 == len((await archive.get("owner-1", "resp_1")).data)
    assert 1000 == len((await archive.get("owner-2", "resp_1")).data)


async def test_only_the_owner_of_the_home_can_read_it(
    make: Callable[..., SqliteArchive], clock: Clock, path: Path
) -> None:
    """The folder and all files in it are closed to others, also when they were open before."""
    leave_open(path)
    archive = make()

    await archive.put("alice", record("resp_1", clock))

    assert {0o700, 0o600} == modes(path)


async def test_nothing_is_made_before_it_is_needed(
    make: Callable[..., SqliteArchive], path: Path
) -> None:
    """An archive that nobody uses has no file."""
    await make().close()

    assert not is_there(path)


async def test_a_file_of_another_version_is_emptied(
    make: Callable[..., SqliteArchive], clock: Clock, path: Path
) -> None:
    """Its records are lost, and it works."""
    write_other_version(path)
    archive = make()

    await archive.put("alice", record("resp_1", clock))

    assert b"data" == (await archive.get("alice", "resp_1")).data


async def test_a_broken_file_is_an_error_that_says_what_to_do(
    make: Callable[..., SqliteArchive], path: Path
) -> None:
    """What is no database is named, with the way out."""
    write_nonsense(path)

    with pytest.raises(UnavailableError, match=r"answers\.sqlite.*may be removed"):
        await make().get("alice", "resp_1")


async def test_a_slow_disk_does_not_hold_callers(
    make: Callable[..., SqliteArchive], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who has waited for long enough is told so; who would wait behind too many is refused."""
    slow = make()
    release = asyncio.Event()
    loop = asyncio.get_running_loop()

    def block() -> None:
        asyncio.run_coroutine_threadsafe(release.wait(), loop).result(timeout=10)

    monkeypatch.setattr(sqlite_archive, "TIMEOUT_S", 0.01)
    monkeypatch.setattr(sqlite_archive, "MAX_WAITING", 1)
    with pytest.raises(UnavailableError, match="disk"):
        await slow._run(block)
    with pytest.raises(OverloadedError):
        await slow.get("alice", "resp_1")

    release.set()
    monkeypatch.setattr(sqlite_archive, "TIMEOUT_S", 10)
    monkeypatch.setattr(sqlite_archive, "MAX_WAITING", 9)
    with pytest.raises(NotFoundError):
        await slow.get("alice", "resp_1")
