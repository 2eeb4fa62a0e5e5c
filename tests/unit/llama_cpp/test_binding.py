"""The seam to llama-cpp-python."""

from __future__ import annotations

import importlib
import importlib.metadata
import os
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from stoker.artifact import ModelBundle
from stoker.errors import BackendUnavailableError
from stoker_llama_cpp import binding, plugin
from stoker_llama_cpp.options import LlamaCppOptions


def test_an_untested_version_is_not_loaded(
    monkeypatch: pytest.MonkeyPatch, bundle_of: Callable[..., ModelBundle]
) -> None:
    """Loading a model with an untested version is refused, and says what to install."""
    monkeypatch.setattr(importlib.metadata, "version", lambda name: "0.3.99")

    with pytest.raises(BackendUnavailableError, match=r"0\.3\.99 is not among .* pip install"):
        plugin.load(bundle_of(), LlamaCppOptions(), lambda stage, fraction: None)


@pytest.mark.parametrize(
    "error",
    [
        ImportError("no module named diskcache"),
        OSError("libcuda.so.1: cannot open shared object file"),
        AttributeError("undefined symbol: llama_process"),
        RuntimeError("Failed to load shared library"),
    ],
)
def test_a_broken_library_is_told(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    """A library that does not load is an unavailable backend, in the loader's words."""

    def fail(name: str) -> None:
        raise error

    monkeypatch.setattr(importlib, "import_module", fail)

    with pytest.raises(BackendUnavailableError, match=f"does not load: {error}"):
        binding.load()


def test_another_library_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """A library with other structures than the binding's is refused before it can crash."""
    defaults = SimpleNamespace(n_ctx=512, n_batch=2048, type_k=0, type_v=7, swa_full=False)
    native = SimpleNamespace(llama_context_default_params=lambda: defaults, GGML_TYPE_F16=1)
    monkeypatch.setattr(importlib, "import_module", lambda name: native)

    with pytest.raises(BackendUnavailableError, match="another llama"):
        binding.load()


@pytest.mark.parametrize("before", [None, "5"])
def test_waiting_threads_sleep(monkeypatch: pytest.MonkeyPatch, before: Any) -> None:
    """OpenMP's threads are told to spin little, unless the user said how much."""
    if before is None:
        monkeypatch.setenv("GOMP_SPINCOUNT", "restored after the test")
        monkeypatch.delenv("GOMP_SPINCOUNT")
    else:
        monkeypatch.setenv("GOMP_SPINCOUNT", before)
    binding.load()

    assert (before or "1000") == os.environ["GOMP_SPINCOUNT"]
