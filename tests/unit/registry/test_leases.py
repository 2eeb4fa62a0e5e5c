"""Tests of `stoker_registry.leases`."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from stoker.digest import Digest
from stoker.file_lock import FileLock
from stoker_registry.leases import LeaseDirectory

ONE, TWO = Digest.of(b"1"), Digest.of(b"2")

TAKE = """
import sys
from pathlib import Path
from stoker.digest import Digest
from stoker_registry.leases import LeaseDirectory
from stoker.file_lock import FileLock
folder = Path(sys.argv[1])
with LeaseDirectory(folder, FileLock(folder / "lock")).take() as lease:
    lease.protect([Digest.of(b"1")])
    partial = lease.partial()
    partial.write(b"half")
    print("taken", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def leases(tmp_path: Path) -> LeaseDirectory:
    """No leases yet."""
    return LeaseDirectory(tmp_path, FileLock(tmp_path / "lock", 1))


def test_a_lease_protects_while_it_lives(leases: LeaseDirectory) -> None:
    """What a lease names is protected from then on until the lease ends."""
    with leases.take() as lease:
        assert frozenset() == leases.protected()
        lease.protect([ONE])
        lease.protect([TWO])
        assert {ONE, TWO} == leases.protected()

    assert frozenset() == leases.protected()


def test_leases_add_up(leases: LeaseDirectory) -> None:
    """Several leases live side by side."""
    with leases.take() as first, leases.take() as second:
        first.protect([ONE])
        second.protect([TWO])

        assert {ONE, TWO} == leases.protected()


def test_the_dead_protect_nothing(leases: LeaseDirectory, tmp_path: Path) -> None:
    """A killed process loses its lease, and its half-written blobs are deleted."""
    command = [sys.executable, "-c", TAKE, str(tmp_path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert b"taken\n" == process.stdout.readline()
        assert {ONE} == leases.protected()
        assert 1 == len(list(tmp_path.glob("*.partial")))
        process.kill()
        process.wait(10)

    assert frozenset() == leases.protected()
    assert ["lock"] == [path.name for path in tmp_path.iterdir()]


def test_partial_blobs_have_names_of_their_own(leases: LeaseDirectory) -> None:
    """Two blobs of one lease, or of two, never meet."""
    with leases.take() as first, leases.take() as second:
        partials = [first.partial(), first.partial(), second.partial()]
        for partial in partials:
            partial.__exit__(None, None, None)

        assert 3 == len({partial.path for partial in partials})
