"""Tests of `stoker.file_lock`."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from stoker.errors import InUseError
from stoker.file_lock import FileLock

HOLD = """
import sys
from pathlib import Path
from stoker.file_lock import FileLock
with FileLock(Path(sys.argv[1])).hold():
    print("held", flush=True)
    sys.stdin.read()
"""


def hold_elsewhere(path: Path) -> subprocess.Popen[str]:
    """A process that holds the lock until its stdin ends."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert "held\n" == process.stdout.readline()
    return process


def test_another_process_is_kept_out(tmp_path: Path) -> None:
    """While one process holds the lock another waits, for a bounded time, and gets it after."""
    path = tmp_path / "lock"
    with hold_elsewhere(path) as process:
        with pytest.raises(InUseError, match="Another process"), FileLock(path, 0.1).hold():
            pass
        process.communicate(timeout=10)

    with FileLock(path, 0.1).hold():
        pass


def test_a_dead_process_holds_nothing(tmp_path: Path) -> None:
    """The lock of a process that was killed is free at once."""
    path = tmp_path / "lock"
    with hold_elsewhere(path) as process:
        process.kill()
        process.wait(10)

    with FileLock(path, 0.1).hold():
        pass


def test_threads_exclude_each_other_too(tmp_path: Path) -> None:
    """A second holder in the same process waits as well, and no file stays open."""
    lock = FileLock(tmp_path / "lock", 0.05)
    before = len(list(Path("/proc/self/fd").iterdir()))
    with lock.hold(), pytest.raises(InUseError), lock.hold():
        pass

    assert before == len(list(Path("/proc/self/fd").iterdir()))
