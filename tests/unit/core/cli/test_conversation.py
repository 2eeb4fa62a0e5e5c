"""A conversation on a terminal."""

from __future__ import annotations

import fcntl
import os
import pty
import select
import subprocess
import termios
import time
from collections.abc import Iterator

import attrs
import pytest

PROMPT = b">>> "


@attrs.frozen
class Terminal:
    """A terminal with a conversation in it."""

    descriptor: int
    process: subprocess.Popen[str]

    def type(self, keys: bytes) -> None:
        """Press keys."""
        os.write(self.descriptor, keys)

    def read_until(self, words: bytes) -> bytes:
        """What is shown, up to some words."""
        seen = b""
        deadline = time.monotonic() + 20
        while words not in seen:
            assert time.monotonic() < deadline, seen
            if select.select([self.descriptor], [], [], 0.1)[0]:
                seen += os.read(self.descriptor, 4096)
        return seen


def _own_terminal() -> None:
    """Make the standard input the terminal that sends signals."""
    os.setsid()
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)


@pytest.fixture
def terminal(start, model: str) -> Iterator[Terminal]:
    """A terminal in which a conversation has begun."""
    leader, follower = pty.openpty()
    with start(
        *("--set", "backends.faulty.delay_s=0.01", "run", model, "--verbose"),
        stdin=follower,
        stdout=follower,
        stderr=follower,
        env=os.environ | {"TERM": "dumb", "NO_COLOR": "1"},
        preexec_fn=_own_terminal,
    ) as process:
        os.close(follower)
        terminal = Terminal(leader, process)
        terminal.read_until(PROMPT)
        yield terminal
    os.close(leader)


def test_turns(terminal: Terminal) -> None:
    """Lines are questions, commands begin with a slash, and Ctrl-D ends it."""
    terminal.type(b"Hi\n")
    answered = terminal.read_until(PROMPT)
    terminal.type(b"/nonsense\n")
    refused = terminal.read_until(PROMPT)
    terminal.type(b"/clear\n")
    terminal.read_until(PROMPT)
    terminal.type(b"\n")
    terminal.read_until(PROMPT)
    terminal.type(b"\x04")

    assert b"one two three four five" in answered
    assert b"5 tokens" in answered
    assert b"/nonsense is no command" in refused
    assert 0 == terminal.process.wait(timeout=20)


def test_an_error_ends_a_turn_only(terminal: Terminal) -> None:
    """After a crash the next question loads the model again."""
    terminal.type(b"kill\n")
    failed = terminal.read_until(PROMPT)
    terminal.type(b"Hi\n")
    answered = terminal.read_until(PROMPT)
    terminal.type(b"/bye\n")

    assert b"stoker: error: " in failed
    assert b"five" in answered
    assert 0 == terminal.process.wait(timeout=20)


def test_ctrl_c_stops_the_answer_only(terminal: Terminal) -> None:
    """An endless answer is stopped; the conversation goes on, with the model still loaded."""
    terminal.type(b"for ever\n")
    terminal.read_until(b"again again")
    terminal.type(b"\x03")
    stopped = terminal.read_until(PROMPT)
    # Between showing the prompt and waiting for keys, readline does not notice a signal.
    time.sleep(0.5)
    terminal.type(b"\x03")
    terminal.read_until(PROMPT)
    terminal.type(b"Hi\n")
    answered = terminal.read_until(PROMPT)
    terminal.type(b"\x04")

    assert b"stopped" in stopped
    assert b"five" in answered
    assert b"loading" not in answered
    assert 0 == terminal.process.wait(timeout=20)
