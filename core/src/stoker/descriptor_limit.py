"""How many descriptors this process may have: each connection of a client is one."""

from __future__ import annotations

import contextlib

try:
    import resource
except ImportError:  # Windows sets no such limit
    resource = None  # type: ignore[assignment]

WANTED = 65_536


def raise_descriptor_limit() -> None:
    """Allow as many as the system lets a process allow itself.

    What most systems begin with, 1,024 on Linux and 256 on macOS, is a caution for programs that
    use `select`; nobody here does.
    """
    if resource is None:
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= WANTED:
        return
    wanted = WANTED if hard == resource.RLIM_INFINITY else min(WANTED, hard)
    # macOS has a limit of its own besides, which nothing tells.
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
