"""Asking for devices."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from stoker import device_query
from stoker.errors import BackendUnavailableError
from stoker_llama_cpp import devices, plugin


def _python(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str) -> None:
    """Put a shell script in the interpreter's place."""
    fake = tmp_path / "python"
    fake.write_text(f"#!/bin/sh\n{script}\n")
    fake.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(fake))


def test_every_machine_has_a_processor() -> None:
    """The list has the CPU with its memory, and it comes last."""
    found = plugin.devices()

    assert "cpu" == found[-1].kind
    assert (found[-1].memory_bytes or 0) > 0


def test_a_crash_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A driver that kills the process gives an error with its last words."""
    _python(tmp_path, monkeypatch, "echo 'CUDA driver version is insufficient' >&2; kill -SEGV $$")

    with pytest.raises(BackendUnavailableError, match="signal 11: CUDA driver version"):
        devices.ask_devices()


def test_a_hang_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A driver that hangs gives an error in time."""
    _python(tmp_path, monkeypatch, "exec sleep 60")
    monkeypatch.setattr(device_query, "TIMEOUT_S", 0.2)

    with pytest.raises(BackendUnavailableError, match="within"):
        devices.ask_devices()


@pytest.mark.parametrize("script", ["echo nonsense", "exit 3", "echo '[{}]'"])
def test_nonsense_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str) -> None:
    """A process that does not answer as it should gives an error."""
    _python(tmp_path, monkeypatch, script)

    with pytest.raises(BackendUnavailableError, match="could not list its devices"):
        devices.ask_devices()
