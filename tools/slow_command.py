"""A command that may take minutes: its output goes to a log, and people hear that it goes on."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

LIMIT_S = 3600
REPORT_EVERY_S = 30


def say(text: str) -> None:
    """Print a line for people, at once."""
    print(text, file=sys.stderr, flush=True)


def run_slowly(command: Sequence[str], *, doing: str, log: Path) -> bool:
    """Run a command to its end, or stop it after an hour.

    Args:
        command: What to run.
        doing: What is going on, for the reports: "building this".
        log: Where its output goes; replaced.

    Returns:
        Whether it succeeded. If not, the end of the log was shown.
    """
    started = time.monotonic()
    with (
        log.open("wb") as output,
        subprocess.Popen(command, stdout=output, stderr=output) as process,
    ):
        while True:
            try:
                status = process.wait(timeout=REPORT_EVERY_S)
                break
            except subprocess.TimeoutExpired:
                elapsed_s = time.monotonic() - started
                say(f"  still {doing}: {elapsed_s:.0f} s")
            except KeyboardInterrupt:
                process.terminate()
                raise
            if elapsed_s > LIMIT_S:
                process.kill()
    if status != 0:
        say("".join(log.read_text(errors="replace").splitlines(keepends=True)[-30:]))
    return status == 0
