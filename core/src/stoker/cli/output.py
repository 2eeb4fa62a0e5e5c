"""Results on standard output: tables for people, one JSON document for programs."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import click

from stoker.cli.failure import note

_UNLIMITED = 1_000_000
_GAP = 2
"""Spaces between two columns."""


def print_json(document: Any) -> None:
    """Print a document of `stoker.cli.wire`, or a list of them."""
    import msgspec

    click.echo(msgspec.json.format(msgspec.json.encode(document), indent=2))


def print_table(
    header: Sequence[str], rows: Iterable[Sequence[str]], *, spare: Sequence[str] = ()
) -> None:
    """Print aligned columns.

    On a terminal the spare columns make room for the others, which is said on standard error, and
    what does not fit even so is folded. Elsewhere every row is one line, however long.

    Args:
        header: The names of the columns.
        rows: A text for each column; the empty text is shown as a dash.
        spare: Columns that may be left out, the one that is missed least first.
    """
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    terminal = sys.stdout.isatty()
    console = Console(width=None if terminal else _UNLIMITED)
    # As `Text`: square brackets in a name are no markup.
    cells = [[Text(cell or "-") for cell in row] for row in rows]
    columns = {
        name: max((row[place].cell_len for row in cells), default=0)
        for place, name in enumerate(header)
    }
    hidden = _left_out(columns, spare, console.width)
    table = Table(box=None, pad_edge=False, padding=(0, _GAP, 0, 0), header_style="bold")
    for place, name in enumerate(header):
        if name not in hidden:
            # The first names the row: it is folded last.
            table.add_column(name, overflow="fold", no_wrap=not terminal or not place)
    for row in cells:
        table.add_row(*(cell for name, cell in zip(header, row, strict=True) if name not in hidden))
    with console.capture() as capture:
        console.print(table)
    for line in capture.get().splitlines():
        click.echo(line.rstrip())
    if hidden and cells:
        note(f"no room for {', '.join(sorted(hidden, key=header.index))}: a wider terminal has it")


def _left_out(columns: Mapping[str, int], spare: Sequence[str], room: int) -> set[str]:
    """The columns to leave out, given how wide the widest cell of each is."""
    widths = {name: max(width, len(name)) + _GAP for name, width in columns.items()}
    hidden: set[str] = set()
    for name in spare:
        if sum(widths.values()) - _GAP <= room:
            break
        del widths[name]
        hidden.add(name)
    return hidden


def print_facts(facts: Mapping[str, object]) -> None:
    """Print `key: value` lines with aligned values; a fact that is None or empty is left out."""
    known = {key: value for key, value in facts.items() if value not in {None, ""}}
    width = max(map(len, known), default=0) + 1
    for key, value in known.items():
        click.echo(f"{key + ':':<{width}} {value}")
