"""Tables."""

from __future__ import annotations

import os
import pty

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


def test_facts_are_aligned(capsys: pytest.CaptureFixture[str]) -> None:
    """Values stand in one column; what is not known is left out."""
    print_facts({"Name": "x", "Context length": 8192, "Format": None, "Note": ""})

    assert "Name:           x\nContext length: 8192\n" == capsys.readouterr().out
