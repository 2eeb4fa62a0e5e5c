"""A workload's figures as a table on the terminal."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table

from comparison.results import WorkloadRecord, ratios, spread


def show(console: Console, record: WorkloadRecord, base: str) -> None:
    """Print a row for each peer and figure: the median, the range, and the ratio to the base."""
    table = Table(title=f"{record.name}, {record.model}: {record.summary}", title_justify="left")
    for column in ("figure", "peer", "median (range)", f"ratio to {base}"):
        table.add_column(column, justify="right" if "(" in column or "ratio" in column else "left")
    for metric in record.metrics:
        for peer, rows in record.figures.items():
            values = [row[metric.name] for row in rows]
            compared = metric.compared and peer != base
            ratio = ratios(record, metric.name, peer, base) if compared else []
            table.add_row(
                f"{metric.name}, {metric.unit}",
                peer,
                spread(values, ".4g"),
                spread(ratio, ".2f") if compared else "",
            )
        table.add_section()
    console.print(table)
    for peer, reason in record.failures.items():
        console.print(f"{peer} failed: {reason.splitlines()[0]}", markup=False, highlight=False)
