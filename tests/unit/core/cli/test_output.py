"""Tables."""

from __future__ import annotations

import os
import pty

import click
import pytest

from stoker.cli.output import print_facts, print_table


def test_elsewhere_a_row_is_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    """However long it is, nothing is cut, and no spaces trail; empty cells are dashes."""
    print_table(("NAME", "X"), [("n" * 500, ""), ("[bold]", "y")])

    header, long, short = capsys.readouterr().out.splitlines()
    assert "NAME" + " " * 498 + "X" == header
    assert "n" * 500 + "  -" == long
    assert "[bold]" + " " * 496 + "y" == short


def test_on_a_terminal_long_cells_are_folded(start, model: str) -> None:
    """A table keeps to the width of the terminal, and still shows everything."""
    leader, follower = pty.openpty()
    environ = os.environ | {"TERM": "dumb", "COLUMNS": "80"}
    with start("inspect", model, stdout=follower, env=environ) as process:
        os.close(follower)
        process.wait(timeout=20)
    seen = os.read(leader, 65536).decode()
    os.close(leader)

    table = seen.partition("ROLE")[2].splitlines()
    assert max(map(len, table)) <= 80
    assert "words.t" in seen


@pytest.mark.parametrize(
    ("columns", "header"),
    [
        (41, ["NAME", "ARCHITECTURE", "CONTEXT"]),
        (25, ["NAME", "CONTEXT"]),
        (24, ["NAME", "CONTEXT"]),
        (14, ["NAME"]),
    ],
)
def test_a_narrow_terminal_has_fewer_columns(
    columns: int,
    header: list[str],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The spare ones go in their order, no more than needed, and a remark names them."""
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    monkeypatch.setenv("COLUMNS", str(columns))

    all_columns = ("NAME", "ARCHITECTURE", "CONTEXT")
    print_table(all_columns, [("a/long-name:x", "llama", "8192")], spare=all_columns[1:])

    shown, noted = map(click.unstyle, capsys.readouterr())
    assert header == shown.splitlines()[0].split()
    assert "a/long-name:x" in shown
    left_out = [name for name in all_columns if name not in header]
    assert bool(left_out) == bool(noted)
    assert ", ".join(left_out) in noted


def test_facts_are_aligned(capsys: pytest.CaptureFixture[str]) -> None:
    """Values stand in one column; what is not known is left out."""
    print_facts({"Name": "x", "Context length": 8192, "Format": None, "Note": ""})

    assert "Name:           x\nContext length: 8192\n" == capsys.readouterr().out
