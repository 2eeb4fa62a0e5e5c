"""Runs as one picture."""

from __future__ import annotations

import statistics
import sys
from collections.abc import Iterable

import pygal

from comparison.results import RunRecord, WorkloadRecord, ratios

# pygal leaves a finder for its own plugins behind, of a kind that Python 3.12 does not know any
# more: every later import of anything would be warned of.
sys.meta_path[:] = [finder for finder in sys.meta_path if hasattr(finder, "find_spec")]

BASE = "llama-server"


def overview(runs: Iterable[RunRecord]) -> bytes:
    """An SVG with a group of bars for each workload: its first figure, compared with the base's.

    Runs with another base than `BASE` are left out.
    All bars point the same way: where less is better, the inverse of the ratio is shown.
    """
    bars: dict[str, dict[str, float]] = {}
    for run in runs:
        for record in run.workloads if run.base == BASE else ():
            for peer in record.figures:
                if peer != run.base and (value := _advantage(record, peer, run.base)):
                    bars.setdefault(f"{record.name}, {record.model}", {})[peer] = value
    chart = pygal.HorizontalBar(
        title=f"As multiples of {BASE} (more is better)",
        legend_at_bottom=True,
        print_values=True,
        formatter=lambda value: f"{value:.2f}",
        js=[],
        # Else every picture has another id, and differs.
        no_prefix=True,
        disable_xml_declaration=True,
    )
    groups = list(reversed(bars))
    chart.x_labels = groups
    for peer in sorted({peer for group in bars.values() for peer in group}):
        chart.add(peer, [bars[group].get(peer) for group in groups])
    picture: bytes = chart.render(is_unicode=True).encode()
    return picture + b"\n"


def _advantage(record: WorkloadRecord, peer: str, base: str) -> float | None:
    metric = next((metric for metric in record.metrics if metric.compared), None)
    values = ratios(record, metric.name, peer, base) if metric else []
    if metric is None or not values:
        return None
    ratio = statistics.median(values)
    return ratio if metric.more_is_better else 1 / ratio
