"""How long commands take that everybody waits for, with many plugins installed.

    make bench NAME=startup ARGS="--plugins 20 --rounds 11"

Prints the median and the slowest of several runs of `stoker --help`, `--version`, `list` and
`plugins`, in processes of their own, with plugins that register one backend each.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from fake_distribution import fake_distribution

PLUGIN = """
import stoker
from stoker.backend import BackendSpec, always_available
from stoker.media_types import GGUF

@stoker.hookimpl
def stoker_register_backends():
    return [BackendSpec("many-{number}", (GGUF,), lambda *_: None, probe=always_available)]
"""
COMMANDS = (("--help",), ("--version",), ("list",), ("plugins",))


def main() -> None:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser(description="How long commands take with many plugins.")
    parser.add_argument("--plugins", type=int, default=20, help="how many are installed")
    parser.add_argument("--rounds", type=int, default=11, help="how often each command runs")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        for number in range(options.plugins):
            source = PLUGIN.format(number=number)
            fake_distribution(Path(folder), f"stoker-many-{number}", {f"many-{number}": source})
        environ = os.environ | {"PYTHONPATH": folder, "STOKER_HOME": str(Path(folder) / "home")}
        for command in COMMANDS:
            times_s = [_run(command, environ) for _ in range(options.rounds)]
            median_ms = statistics.median(times_s) * 1000
            print(
                f"stoker {' '.join(command):<10} {median_ms:6.0f} ms, {max(times_s) * 1000:.0f} ms"
            )


def _run(command: tuple[str, ...], environ: dict[str, str]) -> float:
    started_s = time.perf_counter()
    subprocess.run(
        [sys.executable, "-m", "stoker", *command], env=environ, check=True, capture_output=True
    )
    return time.perf_counter() - started_s


if __name__ == "__main__":
    main()
