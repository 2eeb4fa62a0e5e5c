"""Stoker beside its peers, on the same model and machine, in turns.

Run by name: `make bench NAME=compare ARGS="--workload single,streams16 --rounds 5"`. README.md in
this folder describes the workloads and peers. The first run builds llama-server.
"""

from __future__ import annotations

import shlex
import signal
import sys
import tempfile
from pathlib import Path

import click
import msgspec
from comparison.model import FILES, BenchModel
from comparison.peer import Peer, PeerError, Serving
from comparison.peer_list import KINDS, make_peers
from comparison.results import cores, new_run
from comparison.rounds import Rounds
from comparison.table import show
from comparison.workloads import WORKLOADS
from fetch_model import ensure
from rich.console import Console

WIDTH = 120
"""Of tables at least, also in a file."""


def _names(text: str | None) -> list[str]:
    return [part.strip() for part in (text or "").split(",") if part.strip()]


def _stokers(texts: tuple[str, ...]) -> dict[str, Path]:
    """`LABEL=PATH`, or a path alone, which then is `stoker`."""
    pairs = [text.rpartition("=") for text in texts]
    return {label or "stoker": Path(path) for label, _, path in pairs}


@click.command(epilog=f"Workloads: {', '.join(WORKLOADS)}. Peers: {', '.join(KINDS)}.")
@click.option("--workload", "workloads", default="single", help="Names with commas, or all.")
@click.option("--model", "models", default="smollm2", help=f"Of {', '.join(FILES)}; or all.")
@click.option("--peers", help="Names with commas; without it those that are usual for a workload.")
@click.option("--base", default="llama-server", help="The peer that ratios are to.")
@click.option("--rounds", default=5, show_default=True, type=click.IntRange(1, 1000))
@click.option("--threads", default=cores(), show_default=True)
@click.option(
    "--stoker",
    "stokers",
    metavar="[LABEL=]PATH",
    multiple=True,
    help="A checkout's stoker command; with a label it is a peer of that name.",
)
@click.option("--json", "target", type=click.Path(dir_okay=False, path_type=Path), metavar="FILE")
def main(
    *,
    workloads: str,
    models: str,
    peers: str | None,
    base: str,
    rounds: int,
    threads: int,
    stokers: tuple[str, ...],
    target: Path | None,
) -> None:
    """Measure workloads round by round and print the ratios."""
    # Whoever ends this ends the servers, too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    console = Console()
    console.width = max(console.width, WIDTH)
    chosen = list(WORKLOADS) if workloads == "all" else _names(workloads)
    if unknown := set(chosen) - set(WORKLOADS):
        raise click.UsageError(f"There is no workload {', '.join(unknown)}.")
    names = list(FILES) if models == "all" else _names(models)
    if unknown := set(names) - set(FILES):
        raise click.UsageError(f"There is no model {', '.join(unknown)}.")
    records = []
    for model in map(BenchModel, names):
        ensure(model.path)
        with tempfile.TemporaryDirectory(prefix="stoker-bench-") as scratch:
            folder = Path(scratch)
            prepared: dict[str, Peer] = {}
            for workload in (WORKLOADS[name] for name in chosen):
                wanted = _names(peers) or list(workload.usual_peers)
                try:
                    taking_part = make_peers(wanted, _stokers(stokers))
                    for peer in taking_part:
                        if peer.label not in prepared:
                            peer.prepare(model, folder)
                        prepared.setdefault(peer.label, peer)
                except PeerError as exc:
                    raise click.ClickException(str(exc)) from exc
                serving = Serving(model, workload.streams, workload.context_length, threads)
                turns = Rounds(workload, [prepared[peer.label] for peer in taking_part], serving)
                records.append(turns.run(rounds, folder, lambda text: click.echo(text, err=True)))
                show(console, records[-1], base)
    if target is not None:
        command = f'make bench NAME=compare ARGS="{shlex.join(sys.argv[1:])}"'
        run = new_run(command=command, threads=threads, base=base, workloads=records)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(msgspec.json.format(msgspec.json.encode(run), indent=1) + b"\n")


if __name__ == "__main__":
    main()
