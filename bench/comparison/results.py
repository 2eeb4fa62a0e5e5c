"""The figures of a run, as they are kept in files."""

from __future__ import annotations

import datetime as dt
import os
import platform
import statistics
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path

import msgspec
import psutil

DISTRIBUTIONS = ("stoker", "llama-cpp-python", "mlx-lm", "mlx")
"""Those whose versions decide about figures."""

Figures = Mapping[str, float]


class MetricRecord(msgspec.Struct, frozen=True):
    """What a figure means."""

    name: str
    unit: str
    more_is_better: bool
    compared: bool


class WorkloadRecord(msgspec.Struct, frozen=True):
    """A workload's figures: of every peer one set a round, and of those that failed the reason."""

    name: str
    summary: str
    model: str
    metrics: list[MetricRecord]
    figures: dict[str, list[dict[str, float]]]
    failures: dict[str, str]
    client_share: float
    """The largest share of one core that the client took itself."""
    foreign_share: float
    """The largest share of one core that other programs took, in the rounds that were kept."""


class RunRecord(msgspec.Struct, frozen=True):
    """A run: what was measured where, and how to do it again."""

    started: str
    command: str
    processor: str
    cores: int
    memory_gib: float
    threads: int
    base: str
    versions: dict[str, str]
    workloads: list[WorkloadRecord]


def new_run(
    *, command: str, threads: int, base: str, workloads: Sequence[WorkloadRecord]
) -> RunRecord:
    """A run on this machine, now."""
    now = dt.datetime.now(tz=dt.UTC)
    return RunRecord(
        started=now.strftime("%Y-%m-%d %H:%M UTC"),
        command=command,
        processor=_processor(),
        cores=cores(),
        memory_gib=round(psutil.virtual_memory().total / 2**30, 1),
        threads=threads,
        base=base,
        versions={name: version(name) for name in DISTRIBUTIONS},
        workloads=list(workloads),
    )


def cores() -> int:
    """How many cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def ratios(record: WorkloadRecord, metric: str, peer: str, base: str) -> list[float]:
    """Round by round, a peer's figure as a multiple of the base's; empty when there is none."""
    pairs = zip(record.figures.get(peer, ()), record.figures.get(base, ()), strict=False)
    return [mine[metric] / theirs[metric] for mine, theirs in pairs if theirs[metric]]


def spread(values: Sequence[float], style: str) -> str:
    """The median, and the range in brackets when there are several values."""
    if not values:
        return "-"
    text = format(statistics.median(values), style)
    if len(values) > 1:
        text += f" ({min(values):{style}} to {max(values):{style}})"
    return text


def _processor() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        for line in cpuinfo.read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
