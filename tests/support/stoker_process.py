"""The `stoker` command as users start it: homes, commands and servers in processes."""

from __future__ import annotations

import contextlib
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import attrs
import pytest

ROOT = Path(__file__).parents[2]
FAULTY = ROOT / "tests" / "support" / "faulty"
ACTOR = ROOT / "tests" / "support" / "actor"
MODEL = "ai/smollm2:135m"
ACTING_MODEL = "test/actor:claude-3-5-gpt-5"
"""The scripted model; its tag holds names by which checkers of APIs know models that think."""
START_TIMEOUT_S = 60


@attrs.frozen
class Home:
    """A home of stoker's, and the command in it."""

    path: Path
    environ: dict[str, str] = attrs.field(factory=dict)
    python: str = sys.executable
    """The interpreter of the environment that stoker is installed in."""

    @property
    def full_environ(self) -> dict[str, str]:
        inherited = {name: text for name, text in os.environ.items() if "STOKER_" not in name}
        return inherited | {"STOKER_HOME": str(self.path), "NO_COLOR": "1"} | self.environ

    def run(
        self, *arguments: str, text: str | None = None, timeout_s: float = 120
    ) -> subprocess.CompletedProcess[str]:
        """Run a command to its end."""
        return subprocess.run(
            [self.python, "-m", "stoker", *arguments],
            env=self.full_environ,
            input=text if text is not None else "",
            capture_output=True,
            text=True,
            timeout=timeout_s,
            check=False,
        )

    def ok(self, *arguments: str, text: str | None = None) -> str:
        """Run a command that must succeed; its standard output."""
        done = self.run(*arguments, text=text)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def python_ok(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run a program that must succeed, with stoker's interpreter in this home."""
        done = subprocess.run(
            [self.python, *arguments],
            env=self.full_environ,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done

    def refused(self, *arguments: str) -> str:
        """Run a command that must fail in good order; its one line of error."""
        done = self.run(*arguments)
        assert done.returncode not in {0, 1} or "error" in done.stderr, done.stderr
        assert done.returncode != 0
        assert "Traceback" not in done.stderr
        return done.stderr.strip()

    @contextlib.contextmanager
    def serve(self, *arguments: str) -> Iterator[Server]:
        """Run a server on a free port until the block ends."""
        process = subprocess.Popen(
            [self.python, "-m", "stoker", "serve", "--port", "0", *arguments],
            env=self.full_environ,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        try:
            yield Server(self, process, _address(process))
        finally:
            _end(process)


@attrs.frozen
class Server:
    """A running `stoker serve`."""

    home: Home
    process: subprocess.Popen[str]
    url: str

    @property
    def registry(self) -> str:
        """As a registry's host in references."""
        return self.url.removeprefix("http://")


def _read_lines(process: subprocess.Popen[str], lines: queue.Queue[str]) -> None:
    for line in process.stdout or ():
        lines.put(line)


def _address(process: subprocess.Popen[str]) -> str:
    """The address that the server prints; fails when it does not in time."""
    lines: queue.Queue[str] = queue.Queue()
    threading.Thread(target=_read_lines, args=(process, lines), daemon=True).start()
    deadline = time.monotonic() + START_TIMEOUT_S
    while time.monotonic() < deadline:
        with contextlib.suppress(queue.Empty):
            line = lines.get(timeout=0.2)
            if "http://" in line:
                return line[line.index("http://") :].strip()
        if process.poll() is not None:
            assert process.stderr is not None
            pytest.fail(f"the server ended: {process.stderr.read()}")
    pytest.fail("the server did not say where it listens")


def _end(process: subprocess.Popen[str]) -> None:
    process.send_signal(signal.SIGTERM)
    try:
        process.communicate(timeout=30)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate(timeout=10)
        pytest.fail("the server did not end on SIGTERM")


MakeHome = Callable[..., Home]


def acting_home(home: Home, folder: Path) -> Home:
    """Give a home the scripted model; its environment must name the backend's folder.

    Args:
        home: The home.
        folder: For the model's file.
    """
    weights = folder / "part.txt"
    weights.write_text("To be.")
    kind = "application/vnd.stoker.test.actor"
    home.ok("package", ACTING_MODEL, "--weights", str(weights), "--media-type", kind)
    return home


@attrs.frozen
class Registry:
    """A registry on loopback."""

    host: str
