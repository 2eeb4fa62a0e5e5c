"""The virtual environment of the peers that are written in Python."""

from __future__ import annotations

import sys
import venv
from pathlib import Path

from build_wheel import wheel_folder
from slow_command import run_slowly, say

from comparison.engine_source import FOLDER
from comparison.model import ROOT
from comparison.peer import PeerError

REQUIREMENTS = ROOT / "requirements" / "peers.txt"


def peers_python() -> Path:
    """Its interpreter; installed when it is missing or older than the requirements.

    Raises:
        PeerError: It cannot be installed.
    """
    folder = FOLDER / f"venv-{sys.implementation.cache_tag}"
    python = folder / "bin" / "python"
    stamp = folder / ".installed"
    wanted = REQUIREMENTS.read_text(encoding="utf-8")
    if stamp.exists() and stamp.read_text(encoding="utf-8") == wanted:
        return python
    say("Installing the Python peers, a minute or two.")
    venv.create(folder, with_pip=True)
    command = [str(python), "-m", "pip", "install", "--requirement", str(REQUIREMENTS)]
    command += ["--find-links", str(wheel_folder(ROOT / ".cache" / "wheels"))]
    if not run_slowly(command, doing="installing the peers", log=folder / "install.log"):
        raise PeerError("the Python peers could not be installed")
    stamp.write_text(wanted, encoding="utf-8")
    return python
