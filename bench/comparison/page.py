"""Runs as a page in Markdown."""

from __future__ import annotations

from collections.abc import Iterable

from comparison.results import RunRecord, WorkloadRecord, ratios, spread

HEAD = """\
# Results

<!-- Made by `make bench NAME=results` from the files in results/; do not edit. -->

Each figure is the median of the rounds, with the range in brackets. A ratio is taken round by
round. [README.md](README.md) describes the workloads and peers, and what was learnt.

![Figures as multiples of llama-server's; more is better](results/overview.svg)
"""


def page(runs: Iterable[RunRecord]) -> str:
    """The whole page."""
    return "\n".join([HEAD, *(_run(run) for run in runs)])


def _run(run: RunRecord) -> str:
    versions = ", ".join(f"{name} {text}" for name, text in run.versions.items())
    machine = f"{run.processor}, {run.cores} cores, {run.memory_gib} GiB"
    parts = [
        f"## {run.started}\n",
        f"    {run.command}\n",
        f"{machine}; {versions}; threads: {run.threads}.\n",
    ]
    return "\n".join([*parts, *(_workload(record, run.base) for record in run.workloads)])


def _workload(record: WorkloadRecord, base: str) -> str:
    client, foreign = f"{record.client_share:.1%}", f"{record.foreign_share:.1%}"
    summary = record.summary[0].upper() + record.summary[1:]
    lines = [
        f"### {record.name}, {record.model}\n",
        f"{summary}. At most {client} of a core went to the client, {foreign} to other programs.\n",
        f"| figure | peer | median (range) | ratio to {base} |",
        "|---|---|---|---|",
    ]
    for metric in record.metrics:
        for peer, rows in record.figures.items():
            values = spread([row[metric.name] for row in rows], ".4g")
            compared = metric.compared and peer != base
            ratio = spread(ratios(record, metric.name, peer, base), ".2f") if compared else ""
            lines.append(f"| {metric.name}, {metric.unit} | {peer} | {values} | {ratio} |")
    lines.append("")
    for peer, reason in record.failures.items():
        lines.append(f"{peer} failed: {reason.splitlines()[0]}\n")
    return "\n".join(lines)
