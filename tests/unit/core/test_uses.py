"""Tests of `stoker.uses`."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from stoker.digest import Digest
from stoker.uses import UseDirectory

MODEL = Digest.of(b"a model")

HOLD = """
import sys
from pathlib import Path
from stoker.digest import Digest
from stoker.uses import UseDirectory
with UseDirectory(Path(sys.argv[1])).hold(Digest.of(b"a model"), "the other process"):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_users_are_named_while_they_live(tmp_path: Path) -> None:
    """A process that is killed uses nothing any more, and its file goes."""
    uses = UseDirectory(tmp_path / "uses")
    assert {} == uses.users()
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(uses.directory)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with process:
        assert process.stdout
        assert "held\n" == process.stdout.readline()
        with uses.hold(MODEL, "me"):
            assert {"me", "the other process"} == set(uses.users()[MODEL].split(", "))
        process.kill()
        process.wait(30)

    assert {} == uses.users()
    assert [] == list(uses.directory.iterdir())


def test_files_of_others_are_not_touched(tmp_path: Path) -> None:
    """A name that is no use is left alone."""
    (tmp_path / "notes.use").touch()

    assert {} == UseDirectory(tmp_path).users()
    assert (tmp_path / "notes.use").exists()
