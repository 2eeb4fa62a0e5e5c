"""Prefixes in files."""

from __future__ import annotations

import os
import stat
import time
from array import array
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from stoker_llama_cpp import prefix_files
from stoker_llama_cpp.prefix_files import PrefixFiles

ROW = array("i", range(100))
STATE = memoryview(bytes(range(256)) * 40)
IDENTITY = {"model": "sha256:0", "cells": 512}

Open = Callable[..., PrefixFiles]


@pytest.fixture
def reopen(tmp_path: Path) -> Iterator[Open]:
    """Opens the folder, closing what was open before: a restart of the process."""
    opened: list[PrefixFiles] = []

    def make(limit_bytes: int = 2**20, **identity: str | int) -> PrefixFiles:
        if opened:
            opened[-1].close()
        opened.append(PrefixFiles(tmp_path, IDENTITY | identity, limit_bytes=limit_bytes))
        return opened[-1]

    yield make
    opened[-1].close()


def write(files: PrefixFiles, row: array[int] = ROW, *, used_ns: int = 0, start: int = 0) -> str:
    """Write a row, and tell its name."""
    parent = files.name(row[:start], 0) if start else ""
    assert files.write(row, start, parent, STATE, used_ns=used_ns or time.time_ns())
    return files.name(row, start)


def test_what_was_written_is_found_after_a_restart(reopen: Open) -> None:
    """A file gives back the row and its state."""
    name = write(reopen())
    files = reopen()
    ((found, row),) = files.scan()

    assert (name, ROW, 0, "") == (found, row.tokens, row.start, row.parent)
    assert STATE == files.fetch(name).result(5)


def test_what_waits_to_be_written_can_be_read(reopen: Open) -> None:
    """Nobody has to wait for the disk to read what was just given away."""
    files = reopen()
    name = write(files)

    assert STATE == files.fetch(name).result(5)


def test_only_the_owner_can_read(reopen: Open, tmp_path: Path) -> None:
    """The files hold what users wrote: nobody else may read them or list them."""
    before = os.umask(0)
    try:
        write(reopen())
        reopen()
    finally:
        os.umask(before)
    (folder,) = tmp_path.iterdir()
    (file,) = folder.iterdir()

    assert [0o700, 0o600] == [stat.S_IMODE(path.stat().st_mode) for path in (folder, file)]


@pytest.mark.parametrize("change", [{"model": "sha256:1"}, {"cells": 256}])
def test_files_of_others_are_not_seen(reopen: Open, change: dict[str, str | int]) -> None:
    """Another model, or another setting that states depend on, has files of its own."""
    name = write(reopen())
    files = reopen(**change)

    assert [] == files.scan()
    assert files.fetch(name).result(5) is None
    assert 1 == len(reopen().scan())


@pytest.mark.parametrize("place", [0, 30, 40, 80, -500, -1])
def test_a_changed_byte_is_noticed(reopen: Open, tmp_path: Path, place: int) -> None:
    """Wherever a file is damaged, it is not used, and it is removed."""
    name = write(reopen())
    files = reopen()
    (path,) = tmp_path.glob("*/*")
    content = bytearray(path.read_bytes())
    content[place] ^= 1
    path.write_bytes(content)

    assert files.fetch(name).result(5) is None
    assert not path.exists()


@pytest.mark.parametrize("size", [0, 10, 61, 70, 5000, -1])
def test_a_cut_file_is_noticed(reopen: Open, tmp_path: Path, size: int) -> None:
    """A file that lacks its end is removed when the folder is looked through."""
    write(reopen())
    files = reopen()
    (path,) = tmp_path.glob("*/*")
    path.write_bytes(path.read_bytes()[:size])

    assert [] == files.scan()
    assert not path.exists()


def test_a_longer_file_is_noticed(reopen: Open, tmp_path: Path) -> None:
    """A file with something behind its end is not one that was written here."""
    name = write(reopen())
    files = reopen()
    (path,) = tmp_path.glob("*/*")
    path.write_bytes(path.read_bytes() + b"x")

    assert files.fetch(name).result(5) is None


def test_a_file_under_another_name_is_noticed(reopen: Open, tmp_path: Path) -> None:
    """A whole and sound file is not taken for another prefix."""
    write(reopen())
    files = reopen()
    (path,) = tmp_path.glob("*/*")
    wrong = files.name(ROW[:50], 0)
    path.rename(path.with_stem(wrong))

    assert files.fetch(wrong).result(5) is None
    assert [] == files.scan()


def test_a_folder_in_the_way_is_no_matter(reopen: Open, tmp_path: Path) -> None:
    """What cannot be read and not be removed is passed over."""
    write(reopen())
    files = reopen()
    (path,) = tmp_path.glob("*/*")
    (path.parent / "folder.prefix").mkdir()

    assert [path.stem] == [name for name, _ in files.scan()]


def test_the_least_recently_used_is_removed(reopen: Open) -> None:
    """All files of all models together keep to the limit; what counts is when they were used."""
    rows = [array("i", range(start, start + 100)) for start in range(3)]
    limit_bytes = prefix_files._HEAD_BYTES + int(2.5 * len(STATE))
    write(reopen(limit_bytes, model="sha256:1"), rows[0], used_ns=20)
    files = reopen(limit_bytes)
    write(files, rows[1], used_ns=10)
    write(files, rows[1], used_ns=30)
    write(files, rows[2], used_ns=40)
    write(files, array("i", range(50)), used_ns=50)
    lengths = sorted(len(row.tokens) for _, row in reopen(limit_bytes).scan())

    assert [50, 100] == lengths
    assert [] == reopen(limit_bytes, model="sha256:1").scan()


def test_a_state_larger_than_the_limit_is_refused(reopen: Open) -> None:
    """Nothing is removed for what does not fit alone."""
    files = reopen(1000)

    assert not files.write(ROW, 0, "", STATE, used_ns=0)


def test_too_much_is_not_waited_for(reopen: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    """What comes faster than it can be written is refused, but not before the end."""
    monkeypatch.setattr(prefix_files, "WAITING_BYTES", len(STATE) * 2)
    files = reopen()
    with files._lock:
        # The thread holds what it writes until it gets the lock.
        files._lock.release()
        blocked = files._write
        monkeypatch.setattr(files, "_write", lambda *args: (time.sleep(0.3), blocked(*args)))
        answers = [
            files.write(array("i", range(n)), 0, "", STATE, used_ns=n) for n in range(40, 45)
        ]
        files._lock.acquire()
    files.hurry()

    assert [True, True, False, False, False] == answers
    assert files.write(ROW, 0, "", STATE, used_ns=1)


def test_a_full_disk_is_no_matter(
    reopen: Open, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """What cannot be written is told in the log, leaves nothing behind, and others follow."""

    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    files = reopen()
    with monkeypatch.context() as patch:
        patch.setattr(prefix_files, "write_state", fail)
        write(files)
        files = reopen()

    assert "No space left on device" in caplog.text
    assert [] == list(files._root.rglob("*.p*"))
    name = write(files)
    assert [name] == [found for found, _ in reopen().scan()]


def test_remains_of_killed_processes_are_removed(reopen: Open, tmp_path: Path) -> None:
    """Old parts of files go; young ones may be of a process that is writing."""
    write(reopen())
    files = reopen()
    (folder,) = tmp_path.iterdir()
    old, young = folder / "old.partial", folder / "young.partial"
    for path in (old, young):
        path.touch()
    os.utime(old, (0, 0))
    write(files, ROW[:50])
    reopen()

    assert [False, True] == [old.exists(), young.exists()]


def test_a_file_that_is_of_no_use_is_removed(reopen: Open, tmp_path: Path) -> None:
    """`remove` deletes a file; one that is gone already is no matter."""
    name = write(reopen())
    files = reopen()
    files.remove(name)
    files.remove(name)

    assert [] == list(tmp_path.glob("*/*"))
