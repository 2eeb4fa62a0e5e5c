"""How many descriptors this process may have: each connection of a client is one."""

from __future__ import annotations

import contextlib
import sys

if sys.platform != "win32":
    import resource

WANTED = 65_536


def raise_descriptor_limit() -> None:
    """Allow as many as the system lets a process allow itself.

    What most systems begin with, 1,024 on Linux and 256 on macOS, is a caution for programs that
    use `select`; nobody here does.
    """
    if sys.platform == "win32":
        return  # it sets no such limit
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= WANTED:
        return
    wanted = WANTED if hard == resource.RLIM_INFINITY else min(WANTED, hard)
    # macOS has a limit of its own besides, which nothing tells.
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
