"""What was read of files, until they are others."""

from __future__ import annotations

import os
from pathlib import Path

from stoker_registry.remembered import MAX_VALUES, Remembered, mark_of


def test_a_value_holds_until_the_file_is_another(tmp_path: Path) -> None:
    """Whether it was written to or replaced, and even when its size and time are the old ones."""
    file, other = tmp_path / "file", tmp_path / "other"
    file.write_text("one")
    kept: Remembered[str] = Remembered()
    kept.keep("key", mark_of(file), "one")
    same = kept.find("key", mark_of(file))
    status = file.stat()
    other.write_text("two")
    os.utime(other, ns=(status.st_atime_ns, status.st_mtime_ns))
    other.replace(file)

    assert ("one", None) == (same, kept.find("key", mark_of(file)))


def test_what_is_gone_is_not_remembered(tmp_path: Path) -> None:
    """A file that is not there has no mark, and nothing is kept without one."""
    kept: Remembered[str] = Remembered()
    kept.keep("key", mark_of(tmp_path / "missing"), "value")

    assert kept.find("key", mark_of(tmp_path / "missing")) is None


def test_the_number_of_values_is_bounded(tmp_path: Path) -> None:
    """Anybody may ask for names that mean the same."""
    mark = mark_of(tmp_path)
    kept: Remembered[int] = Remembered()
    for number in range(MAX_VALUES + 1):
        kept.keep(number, mark, number)

    assert (None, MAX_VALUES) == (kept.find(0, mark), kept.find(MAX_VALUES, mark))
