"""What the command line imports, and when."""

from __future__ import annotations

import subprocess
import sys

import pytest

from stoker.cli.command_list import COMMANDS

HEAVY = {
    "jinja2",
    "litestar",
    "llama_cpp",
    "llguidance",
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
import sys
from stoker.cli import main
code = main(sys.argv[1:])
print(*sorted({name.partition(".")[0] for name in sys.modules}), file=sys.stderr)
sys.exit(code)
"""


def _imported(*arguments: str) -> set[str]:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    return set(done.stderr.splitlines()[-1].split())


@pytest.mark.parametrize(
    "arguments", [["--help"], ["--version"], *([name, "--help"] for name in COMMANDS)]
)
def test_help_imports_nothing_heavy(arguments: list[str]) -> None:
    """Help needs no plugin, no engine, no web framework and nothing that renders."""

    assert set() == HEAVY & _imported(*arguments)


@pytest.mark.parametrize("command", ["list", "plugins", "version"])
def test_cheap_commands_import_no_engine_and_no_framework(
    command: str, home: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Looking around loads every installed plugin, but nothing that they run on."""
    monkeypatch.delenv("STOKER_PLUGINS")

    assert set() == {"litestar", "llama_cpp", "llguidance", "uvicorn", "numpy"} & _imported(command)
