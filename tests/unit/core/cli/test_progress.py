"""Progress of transfers."""

from __future__ import annotations

import os
import pty
import signal
import threading

import pytest

from stoker.cli import progress as progress_module
from stoker.cli.progress import transfer_progress
from stoker.errors import OperationCancelledError
from stoker.store import Progress

DIGEST = "sha256:" + "0" * 64


def test_lines_are_few(capsys: pytest.CaptureFixture[str]) -> None:
    """An item gets a line at its start, at its end, and every ten per cent between."""
    with transfer_progress(quiet=False) as report:
        for done in range(1001):
            report(Progress("pulling", DIGEST, done * 1000, 1_000_000))

    lines = capsys.readouterr().err.splitlines()
    assert "pulling sha256:000000000000: 0 B of 1.0 MB" == lines[0]
    assert "pulling sha256:000000000000: 1.0 MB of 1.0 MB" == lines[-1]
    assert 11 == len(lines)


def test_slow_items_get_a_line_now_and_then(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a total, time decides."""
    monkeypatch.setattr(progress_module, "LINE_INTERVAL_S", 0.0)
    with transfer_progress(quiet=False) as report:
        report(Progress("verifying"))
        report(Progress("verifying", done_bytes=5))

    assert "verifying\nverifying: 5 B\n" == capsys.readouterr().err


def test_quiet_is_silent(capsys: pytest.CaptureFixture[str]) -> None:
    """Nothing is shown."""
    with transfer_progress(quiet=True) as report:
        report(Progress("pulling", "x", 1, 1))

    assert "" == capsys.readouterr().err


def test_ctrl_c_reaches_every_thread() -> None:
    """The main thread is interrupted, and threads that report are told to give up."""
    results: list[str] = []
    interrupted = threading.Event()

    def work() -> None:
        interrupted.wait(10)
        try:
            report(Progress("pulling"))
        except OperationCancelledError:
            results.append("cancelled")

    before = signal.getsignal(signal.SIGINT)
    with transfer_progress(quiet=True) as report:
        thread = threading.Thread(target=work)
        thread.start()
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)
        interrupted.set()
        thread.join(10)

    assert ["cancelled"] == results
    assert before == signal.getsignal(signal.SIGINT)


def test_bars_on_a_terminal(start, home: object, remote: object) -> None:
    """On a terminal there is a bar with the item's name and size; the digest is still alone."""
    leader, follower = pty.openpty()
    environ = os.environ | {"TERM": "xterm", "COLUMNS": "120"}
    with start("pull", "ai/far", stderr=follower, env=environ) as process:
        os.close(follower)
        assert process.stdout is not None
        out = process.stdout.read()
        process.wait(timeout=20)
        seen = b""
        try:
            while chunk := os.read(leader, 4096):
                seen += chunk
        except OSError:
            pass
    os.close(leader)

    assert out.startswith("sha256:")
    assert 1 == out.count("\n")
    assert b"pulling docker.io%2Fai%2Ffar%3Alatest.txt"[-20:] in seen
    assert b"8/8 bytes" in seen
