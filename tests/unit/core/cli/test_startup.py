"""What the command line imports, and when."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
from fake_distribution import fake_distribution

from stoker.cli.command_list import COMMANDS

HEAVY = {
    "jinja2",
    "litestar",
    "llama_cpp",
    "llguidance",
    "mlx",
    "numpy",
    "oras",
    "requests",
    "rich",
    "stoker_example",
    "stoker_litestar",
    "stoker_llama_cpp",
    "stoker_registry",
    "uvicorn",
}

PROGRAM = """
import json, sys
from stoker.cli import main
for arguments in sys.argv[1:]:
    if main(json.loads(arguments)):
        sys.exit(f"{arguments} failed")
print(*sorted({name.partition(".")[0] for name in sys.modules}), file=sys.stderr)
"""


def _imported(*commands: Sequence[str]) -> set[str]:
    """What an interpreter has imported that ran these commands."""
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, *map(json.dumps, commands)],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    return set(done.stderr.splitlines()[-1].split())


def test_help_imports_nothing_heavy() -> None:
    """Help needs no plugin, no engine, no web framework and nothing that renders."""
    commands = [["--help"], ["--version"], *([name, "--help"] for name in COMMANDS)]

    assert set() == HEAVY & _imported(*commands)


def test_cheap_commands_import_no_engine_and_no_framework(
    home: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Looking around loads every installed plugin, but nothing that they run on."""
    monkeypatch.delenv("STOKER_PLUGINS")
    imported = _imported(["list"], ["plugins"], ["version"])

    plugins = {name for name in HEAVY if name.startswith("stoker_")}

    assert plugins <= imported
    assert set() == (HEAVY - plugins - {"rich"}) & imported


def test_help_loads_none_of_twenty_plugins(
    home: object, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However many there are, help costs what it costs without them; other commands load all."""
    source = f"import pathlib\npathlib.Path({str(tmp_path)!r}, __name__ + '.imported').touch()\n"
    for number in range(20):
        fake_distribution(tmp_path, f"stoker-many-{number}", {f"many-{number}": source})
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setenv("STOKER_PLUGINS", ",".join(f"many-{number}" for number in range(20)))

    _imported(["--help"])
    after_help = list(tmp_path.glob("*.imported"))
    _imported(["list"])

    assert [] == after_help
    assert 20 == len(list(tmp_path.glob("*.imported")))
