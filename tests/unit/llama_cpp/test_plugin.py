"""The plugin's record."""

from __future__ import annotations

import importlib.metadata
import subprocess
import sys

import pytest

from stoker.media_types import GGUF
from stoker_llama_cpp import binding, plugin
from stoker_llama_cpp.options import LlamaCppOptions


def test_record() -> None:
    """The plugin offers one backend, for GGUF files."""
    (spec,) = plugin.stoker_register_backends()

    assert "llama.cpp" == spec.name
    assert (GGUF,) == spec.media_types
    assert LlamaCppOptions is spec.options_type


def test_entry_point() -> None:
    """The distribution names the plugin by the entry point `llama-cpp`."""
    (entry,) = importlib.metadata.entry_points(group="stoker.v1", name="llama-cpp")

    assert plugin is entry.load()


def test_registering_and_probing_import_no_engine() -> None:
    """Neither llama.cpp nor numpy is imported before a model is loaded."""
    program = (
        "import sys; from stoker_llama_cpp import plugin;"
        "(spec,) = plugin.stoker_register_backends(); spec.probe();"
        "print(sorted({'llama_cpp', 'numpy'} & set(sys.modules)))"
    )
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)

    assert "[]" == done.stdout.strip()


def test_probe_names_the_version() -> None:
    """Where a tested version is installed, the backend is available."""
    found = plugin.probe()

    assert found.available
    assert f"llama-cpp-python {importlib.metadata.version('llama-cpp-python')}" == found.reason


def test_probe_without_the_binding(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without llama-cpp-python the reason says how to install it."""

    def version(name: str) -> str:
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(importlib.metadata, "version", version)

    assert not plugin.probe().available
    assert "pip install 'stoker[llama-cpp]'" in plugin.probe().reason


@pytest.mark.parametrize("version", ["0.3.35", "0.3.37", "0.4.0", "0.2.90"])
def test_probe_with_an_untested_version(monkeypatch: pytest.MonkeyPatch, version: str) -> None:
    """An untested version is not available, and the reason says which one to install."""
    monkeypatch.setattr(importlib.metadata, "version", lambda name: version)
    found = plugin.probe()

    assert not found.available
    assert version in found.reason
    assert f"pip install 'llama-cpp-python{binding.tested_versions()}'" in found.reason


def test_probe_without_own_metadata(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the backend's own metadata is gone, the reason says to install it again."""

    def requires(name: str) -> None:
        raise importlib.metadata.PackageNotFoundError(name)

    binding.tested_versions.cache_clear()
    monkeypatch.setattr(importlib.metadata, "requires", requires)
    found = plugin.probe()

    assert not found.available
    assert "stoker-llama-cpp is not installed properly" in found.reason


@pytest.mark.parametrize("version", ["0.3.36", "0.3.36+cu124"])
def test_probe_with_a_local_version(monkeypatch: pytest.MonkeyPatch, version: str) -> None:
    """Wheels built for a GPU carry a local version and are the tested version all the same."""
    monkeypatch.setattr(importlib.metadata, "version", lambda name: version)

    assert plugin.probe().available
