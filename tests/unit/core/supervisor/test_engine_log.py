"""The lines that runners printed."""

from __future__ import annotations

from stoker.digest import Digest
from stoker.host import LogLines
from stoker.supervisor.engine_log import MAX_LINES, MAX_MODELS, EngineLogs

ONE = Digest.of(b"one")


def test_lines_are_read_once() -> None:
    """Who asks from where it was left sees what is new, and nothing twice."""
    logs = EngineLogs()
    logs.ring(ONE).add("a")
    first = logs.after(ONE, 0)
    logs.ring(ONE).add("b")

    assert LogLines(("a",), 1) == first
    assert LogLines(("b",), 2) == logs.after(ONE, first.next)
    assert LogLines((), 2) == logs.after(ONE, 2)


def test_old_lines_are_forgotten() -> None:
    """The newest are kept, and the numbers go on."""
    logs = EngineLogs()
    for number in range(MAX_LINES + 5):
        logs.ring(ONE).add(str(number))

    found = logs.after(ONE, 0)

    assert (MAX_LINES, "5", MAX_LINES + 5) == (len(found.lines), found.lines[0], found.next)


def test_old_models_are_forgotten() -> None:
    """A server that ran many models does not grow."""
    logs = EngineLogs()
    for number in range(MAX_MODELS + 1):
        logs.ring(Digest.of(str(number).encode())).add("x")

    assert LogLines((), 0) == logs.after(Digest.of(b"0"), 0)
    assert LogLines(("x",), 1) == logs.after(Digest.of(b"1"), 0)
