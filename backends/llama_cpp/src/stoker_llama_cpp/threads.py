"""How many threads llama.cpp should compute with."""

from __future__ import annotations

import os
from pathlib import Path

_CPUS = Path("/sys/devices/system/cpu")
_QUOTA = Path("/sys/fs/cgroup/cpu.max")


def sensible_threads() -> int:
    """The physical cores that this process may use, at least 1.

    llama.cpp's threads wait for each other many times per token by spinning. One thread too many
    therefore slows all of them down: a second thread on one core, or one beyond the processor
    time that a container is given.
    """
    if not hasattr(os, "sched_getaffinity"):
        # macOS and Windows. Half the logical processors are the physical cores with
        # hyper-threading, and about the performance cores on Apple silicon.
        return max(1, (os.cpu_count() or 1) // 2)
    usable = os.sched_getaffinity(0)
    cores = {_read(_CPUS / f"cpu{cpu}/topology/thread_siblings_list") or cpu for cpu in usable}
    return max(1, min(len(cores), _quota() or len(cores)))


def _quota() -> int | None:
    """Processors' worth of time that the control group may use, if it is limited.

    See https://docs.kernel.org/admin-guide/cgroup-v2.html, "cpu.max".
    """
    limit, _, period = _read(_QUOTA).partition(" ")
    if not (limit.isdigit() and period.isdigit()):
        return None
    return max(1, int(limit) // int(period))


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii").strip()
    except OSError:
        return ""
