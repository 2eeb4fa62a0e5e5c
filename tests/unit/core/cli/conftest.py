"""The command line with a store and a backend made for tests, in a home of its own."""

from __future__ import annotations

import contextlib
import io
import os
import selectors
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import attrs
import msgspec
import pytest

from stoker.cli import main

SUPPORT = Path(__file__).parents[3] / "support"
WORDS = "one two three four five"
MODEL = "ai/words"


@attrs.frozen
class Done:
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def document(self) -> Any:
        """The JSON that it printed."""
        return msgspec.json.decode(self.out)


Stoker = Callable[..., Done]
Start = Callable[..., contextlib.AbstractContextManager["subprocess.Popen[str]"]]
Serve = Callable[..., contextlib.AbstractContextManager[tuple["subprocess.Popen[str]", str]]]


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty home, and two plugins: the store `shelf` and the backend `faulty`."""
    for name in os.environ:
        if name.startswith("STOKER_"):
            monkeypatch.delenv(name)
    folders = [str(SUPPORT / "faulty"), str(SUPPORT / "shelf")]
    for folder in folders:
        monkeypatch.syspath_prepend(folder)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(folders))
    monkeypatch.setenv("STOKER_PLUGINS", "faulty,shelf")
    monkeypatch.setenv("STOKER_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("COLUMNS", "300")
    return tmp_path / "home"


@pytest.fixture
def remote(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder that is the test store's registry; it has the model `ai/far`."""
    folder = tmp_path / "remote"
    folder.mkdir()
    (folder / "docker.io%2Fai%2Ffar%3Alatest.txt").write_text("far away")
    monkeypatch.setenv("STOKER_STORES__SHELF__REMOTE", str(folder))
    return folder


@pytest.fixture
def stoker(
    home: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Stoker:
    """Runs a command in this process."""

    def run(*arguments: str, text: str = "") -> Done:
        monkeypatch.setattr(sys, "stdin", io.StringIO(text))
        capsys.readouterr()
        code = main(arguments)
        return Done(code, *capsys.readouterr())

    return run


@pytest.fixture
def words_file(tmp_path: Path) -> Path:
    """The weights of a model that always says the same words."""
    path = tmp_path / "words.txt"
    path.write_text(WORDS)
    return path


@pytest.fixture
def model(stoker: Stoker, words_file: Path) -> str:
    """The name of a model that is here."""
    done = stoker("package", MODEL, "--weights", str(words_file))
    assert 0 == done.code, done.err
    return MODEL


@pytest.fixture
def start(home: Path) -> Start:
    """Starts a command in a process of its own."""
    return _started


@pytest.fixture
def serve(home: Path) -> Serve:
    """Starts a server."""
    return _serving


@contextlib.contextmanager
def _started(*arguments: str, **options: Any) -> Iterator[subprocess.Popen[str]]:
    """A command in a process of its own; it is killed at the end, should it still run."""
    process = subprocess.Popen(
        [sys.executable, "-m", "stoker", *arguments],
        **{
            "stdin": subprocess.DEVNULL,
            "stdout": subprocess.PIPE,
            "stderr": subprocess.PIPE,
            "text": True,
            **options,
        },
    )
    try:
        yield process
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate(timeout=10)


@contextlib.contextmanager
def _serving(*arguments: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A server with the smallest transport, and its address; it must end in order on SIGTERM."""
    environ = os.environ | {"STOKER_PLUGINS": "faulty,shelf,example-transport"}
    with _started(*arguments, "serve", env=environ) as process:
        yield process, _first_line(process).removeprefix("listening on ").strip()
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
            out, err = process.communicate(timeout=20)
            assert (0, "", "") == (process.returncode, out, err)


def _first_line(process: subprocess.Popen[str], timeout_s: float = 20) -> str:
    """The first line that a process prints, or what it complained about instead."""
    assert process.stdout is not None
    assert process.stderr is not None
    with selectors.DefaultSelector() as selector:
        selector.register(process.stdout, selectors.EVENT_READ)
        deadline = time.monotonic() + timeout_s
        while time.monotonic() < deadline:
            if selector.select(0.1):
                return process.stdout.readline() or process.stderr.read()
    pytest.fail("the process said nothing")
