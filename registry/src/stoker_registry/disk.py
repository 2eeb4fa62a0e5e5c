"""Writing to disk so that a power cut leaves either the old or the new, never a half."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

from stoker.errors import UnavailableError


@contextlib.contextmanager
def disk_errors(directory: Path) -> Iterator[None]:
    """Turn errors of the file system into a sentence for people.

    Raises:
        UnavailableError: The disk is full, read-only, not ours to write, ...
    """
    try:
        yield
    except OSError as exc:
        reason = exc.strerror or str(exc)
        raise UnavailableError(f"The store at {directory} cannot be used: {reason}.") from exc


def sync_directory(directory: Path) -> None:
    """Bring renames within a folder to disk."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_atomically(path: Path, data: bytes, *, mode: int = 0o644) -> None:
    """Replace a small file as a whole."""
    descriptor, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fchmod(file.fileno(), mode)
            os.fsync(file.fileno())
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
    sync_directory(path.parent)
