"""Checking a file that was whole once: is it still what its digest says?"""

from __future__ import annotations

import hashlib
from pathlib import Path

import attrs

from stoker.digest import Digest
from stoker.meter import Meter
from stoker.store import ReportProgress

_CHUNK_BYTES = 1024 * 1024


@attrs.frozen
class FileCheck:
    """What was found."""

    problem: str | None
    """What is wrong, as the end of a sentence: "is missing", ..."""
    hashed_bytes: int | None = None
    """How large it is; None when it was not read to its end."""


def check_file(
    path: Path, digest: Digest, size_bytes: int | None, item: str, report: ReportProgress
) -> FileCheck:
    """Hash a file.

    Args:
        path: The file.
        digest: What it should be.
        size_bytes: How large it should be; None when nobody knows. A file of another size is not
            read.
        item: What people call it.
        report: Told how it goes.
    """
    try:
        with path.open("rb") as file:
            found_bytes = file.seek(0, 2)
            if size_bytes is not None and found_bytes != size_bytes:
                return FileCheck(f"has {found_bytes} bytes instead of {size_bytes}")
            file.seek(0)
            hasher = hashlib.new(digest.algorithm)
            meter = Meter(report, "verifying", item, found_bytes)
            done_bytes = 0
            meter(0)
            while chunk := file.read(_CHUNK_BYTES):
                hasher.update(chunk)
                done_bytes += len(chunk)
                meter(done_bytes)
    except FileNotFoundError:
        return FileCheck("is missing")
    except OSError as exc:
        # A disk that cannot read a file back says so like this.
        return FileCheck(f"cannot be read ({exc.strerror})")
    is_same = hasher.hexdigest() == digest.encoded
    return FileCheck(None if is_same else "was changed on disk", done_bytes)
