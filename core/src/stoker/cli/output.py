"""Results on standard output: tables for people, one JSON document for programs."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import click

_UNLIMITED = 1_000_000


def print_json(document: Any) -> None:
    """Print a document of `stoker.cli.wire`, or a list of them."""
    import msgspec

    click.echo(msgspec.json.format(msgspec.json.encode(document), indent=2))


def print_table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Print aligned columns.

    On a terminal what does not fit is folded; elsewhere every row is one line, however long.
    """
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    terminal = sys.stdout.isatty()
    console = Console(width=None if terminal else _UNLIMITED)
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    for name in header:
        table.add_column(name, overflow="fold", no_wrap=not terminal)
    for row in rows:
        # As `Text`: square brackets in a name are no markup.
        table.add_row(*(Text(cell or "-") for cell in row))
    with console.capture() as capture:
        console.print(table)
    for line in capture.get().splitlines():
        click.echo(line.rstrip())


def print_facts(facts: Mapping[str, object]) -> None:
    """Print `key: value` lines with aligned values; a fact that is None or empty is left out."""
    known = {key: value for key, value in facts.items() if value not in {None, ""}}
    width = max(map(len, known), default=0) + 1
    for key, value in known.items():
        click.echo(f"{key + ':':<{width}} {value}")
