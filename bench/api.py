"""What the HTTP APIs and the text pipeline cost, apart from any engine.

Run by name: `make bench NAME=api`, or `make bench NAME=api ARGS="--workload latency,idle"`. Three
of the workloads have an engine that takes no time (`engines/stoker_instant.py`), one has a real
model with a clock around it (`engines/stoker_timed.py`).
"""

from __future__ import annotations

import shlex
import statistics
import sys
import tempfile
from pathlib import Path

import click
import msgspec
from comparison.processor import ProcessorTime
from comparison.results import WorkloadRecord, cores, new_run

# Share reads the record that an engine of that folder writes.
sys.path.insert(0, str(Path(__file__).parent / "engines"))

from api_load.idle import Idle
from api_load.instant import Latency, Throughput
from api_load.share import Share
from api_load.workload import Load

LOADS: dict[str, Load] = {load.name: load for load in (Latency(), Throughput(), Idle(), Share())}
PEER = "stoker"


def _measured(load: Load, rounds: int) -> WorkloadRecord:
    rows: list[dict[str, float]] = []
    client_share = foreign_share = 0.0
    for _ in range(rounds):
        with tempfile.TemporaryDirectory(prefix="stoker-bench-") as folder:
            start = ProcessorTime.now()
            figures, share = load.measure(Path(folder))
            foreign_share = max(foreign_share, ProcessorTime.now().foreign_share(start))
        client_share = max(client_share, share)
        rows.append(figures)
    return WorkloadRecord(
        name=load.name,
        summary=load.summary,
        model=load.model,
        metrics=list(load.metrics),
        figures={PEER: rows},
        failures={},
        client_share=round(client_share, 3),
        foreign_share=round(foreign_share, 3),
    )


@click.command(epilog=f"Workloads: {', '.join(LOADS)}.")
@click.option("--workload", "names", default="all", help="Names with commas, or all.")
@click.option("--rounds", default=1, show_default=True, type=click.IntRange(1, 1000))
@click.option("--json", "target", type=click.Path(dir_okay=False, path_type=Path), metavar="FILE")
def main(*, names: str, rounds: int, target: Path | None) -> None:
    """Measure, and print the median of each figure."""
    chosen = list(LOADS) if names == "all" else names.split(",")
    if unknown := set(chosen) - set(LOADS):
        raise click.UsageError(f"There is no workload {', '.join(unknown)}.")
    records = []
    for name in chosen:
        record = _measured(LOADS[name], rounds)
        records.append(record)
        click.echo(f"{name}: {record.summary}")
        for metric in record.metrics:
            value = statistics.median(row[metric.name] for row in record.figures[PEER])
            click.echo(f"  {metric.name:<48} {value:10.4g} {metric.unit}")
        click.echo(f"  {'client':<48} {record.client_share:10.4g} cores")
    if target is not None:
        command = f'make bench NAME=api ARGS="{shlex.join(sys.argv[1:])}"'
        run = new_run(command=command, threads=cores(), base=PEER, workloads=records)
        target.write_bytes(msgspec.json.format(msgspec.json.encode(run), indent=1) + b"\n")


if __name__ == "__main__":
    main()
