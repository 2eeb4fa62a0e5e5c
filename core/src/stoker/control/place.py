"""Where the control socket of a home is."""

from __future__ import annotations

import hashlib
import os
import tempfile
from pathlib import Path

from stoker.errors import UnavailableError

# The kernel's limit is 108 bytes on Linux and 104 on macOS, the final NUL included.
_MAX_PATH_BYTES = 103


def socket_path(home: Path) -> Path:
    """The socket's path: in the home, or where the name is too long for a socket, beside it."""
    path = home / "run" / "control.sock"
    if len(os.fsencode(path)) <= _MAX_PATH_BYTES:
        return path
    key = hashlib.sha256(os.fsencode(home)).hexdigest()[:16]
    return Path(tempfile.gettempdir()) / f"stoker-{os.getuid()}-{key}" / "control.sock"


def private_directory(path: Path) -> None:
    """Make a folder that only its owner can enter, or check that it is one.

    Raises:
        UnavailableError: It cannot be made, or somebody else owns it.
    """
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as exc:
        raise UnavailableError(
            f"{path} cannot be made: {exc.strerror}; set STOKER_HOME to another folder."
        ) from exc
    if path.stat().st_uid != os.getuid():
        raise UnavailableError(f"{path} belongs to another user; remove it or set STOKER_HOME.")
    path.chmod(0o700)
