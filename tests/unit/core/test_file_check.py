"""Checking files against their digests."""

from __future__ import annotations

from pathlib import Path

import pytest

from stoker.digest import Digest
from stoker.file_check import FileCheck, check_file
from stoker.store import Progress

DATA = b"weights" * 1000


@pytest.mark.parametrize("size_bytes", [len(DATA), None])
def test_a_whole_file_has_no_problem(tmp_path: Path, size_bytes: int | None) -> None:
    """Its size is told, and how far the work is."""
    (tmp_path / "file").write_bytes(DATA)
    told: list[Progress] = []

    found = check_file(tmp_path / "file", Digest.of(DATA), size_bytes, "it", told.append)

    assert FileCheck(None, len(DATA)) == found
    assert [0, len(DATA)] == [told[0].done_bytes, told[-1].done_bytes]


@pytest.mark.parametrize(
    ("data", "found"),
    [
        (DATA[:-1] + b"x", FileCheck("was changed on disk", len(DATA))),
        (DATA[:-1], FileCheck(f"has {len(DATA) - 1} bytes instead of {len(DATA)}")),
        (None, FileCheck("is missing")),
    ],
)
def test_the_problem_is_named(tmp_path: Path, data: bytes | None, found: FileCheck) -> None:
    """A file of another size is not read at all."""
    if data is not None:
        (tmp_path / "file").write_bytes(data)

    assert found == check_file(
        tmp_path / "file", Digest.of(DATA), len(DATA), "it", lambda _progress: None
    )


def test_what_cannot_be_read_is_a_problem(tmp_path: Path) -> None:
    """As a disk has it that gives an error."""
    found = check_file(tmp_path, Digest.of(DATA), None, "it", lambda _progress: None)

    assert FileCheck("cannot be read (Is a directory)") == found
