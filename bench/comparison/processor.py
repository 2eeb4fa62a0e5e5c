"""Whose work the processor did while something was measured."""

from __future__ import annotations

import contextlib
import time

import attrs
import psutil


@attrs.frozen
class ProcessorTime:
    """Seconds of all cores up to a moment."""

    moment_s: float
    client_s: float
    """Of this process."""
    ours_s: float
    """Of this process and all that it started."""
    all_s: float
    """Of everything on the machine."""

    @classmethod
    def now(cls) -> ProcessorTime:
        """Up to now."""
        machine = psutil.cpu_times()
        idle_s = machine.idle + getattr(machine, "iowait", 0.0)
        # What runs in a virtual machine of ours is counted twice by Linux.
        guest_s = getattr(machine, "guest", 0.0) + getattr(machine, "guest_nice", 0.0)
        this = psutil.Process()
        ours_s = 0.0
        for process in (this, *this.children(recursive=True)):
            with contextlib.suppress(psutil.NoSuchProcess):
                ours_s += sum(process.cpu_times()[:4])
        return cls(
            time.perf_counter(), time.process_time(), ours_s, sum(machine) - idle_s - guest_s
        )

    def client_share(self, start: ProcessorTime) -> float:
        """Cores that this process took since an earlier moment."""
        return (self.client_s - start.client_s) / (self.moment_s - start.moment_s)

    def foreign_share(self, start: ProcessorTime) -> float:
        """Cores that programs took which are none of ours, since an earlier moment."""
        foreign_s = (self.all_s - start.all_s) - (self.ours_s - start.ours_s)
        return max(0.0, foreign_s / (self.moment_s - start.moment_s))
