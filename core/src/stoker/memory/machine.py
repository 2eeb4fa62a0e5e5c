"""How much memory this process may use: the machine's, or its control group's if that is less."""

from __future__ import annotations

import os
from pathlib import Path, PurePosixPath

_CGROUPS = Path("/sys/fs/cgroup")
_MEMBERSHIP = Path("/proc/self/cgroup")


def host_memory_bytes(*, cgroups: Path = _CGROUPS, membership: Path = _MEMBERSHIP) -> int:
    """The memory that there is, and that this process may have.

    Args:
        cgroups: Where control groups are mounted.
        membership: Which ones this process is in.
    """
    total_bytes = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return min([total_bytes, *_limits(cgroups, membership)])


def _limits(cgroups: Path, membership: Path) -> list[int]:
    """The limits of all control groups around this process, of both versions.

    https://docs.kernel.org/admin-guide/cgroup-v2.html#memory-interface-files and
    https://docs.kernel.org/admin-guide/cgroup-v1/memory.html
    """
    limits = []
    for line in _read(membership).splitlines():
        _, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        if not controllers:
            root, name = cgroups, "memory.max"
        elif "memory" in controllers.split(","):
            root, name = cgroups / "memory", "memory.limit_in_bytes"
        else:
            continue
        # In a container the path may be that of the machine outside, which is not mounted: then
        # the root is the container's own group.
        for folder in (PurePosixPath(path), *PurePosixPath(path).parents):
            text = _read(root / str(folder).lstrip("/") / name)
            if text.isdigit():
                limits.append(int(text))
    return limits


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii", errors="replace").strip()
    except OSError:
        return ""
