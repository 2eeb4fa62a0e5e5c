"""The plugin's record, and what it says where MLX is not, or not whole."""

from __future__ import annotations

import importlib
import importlib.metadata
import subprocess
import sys
from collections.abc import Mapping

import pytest

from stoker.artifact import ModelBundle
from stoker.errors import BackendUnavailableError
from stoker.media_types import SAFETENSORS
from stoker_mlx import library, plugin
from stoker_mlx.options import MlxOptions

WHOLE = {"mlx-lm": "0.32.2", "mlx": "0.32.4", "mlx-cpu": "0.32.4"}


def install(monkeypatch: pytest.MonkeyPatch, versions: Mapping[str, str]) -> None:
    """Let these distributions be all that is installed."""

    def version(name: str) -> str:
        if name not in versions:
            raise importlib.metadata.PackageNotFoundError(name)
        return versions[name]

    library.tested_versions()
    monkeypatch.setattr(importlib.metadata, "version", version)
    monkeypatch.setattr(sys, "platform", "linux")


def test_record() -> None:
    """The plugin offers one backend, for safetensors files."""
    (spec,) = plugin.stoker_register_backends()

    assert "mlx" == spec.name
    assert (SAFETENSORS,) == spec.media_types
    assert MlxOptions is spec.options_type
    assert plugin.estimate is spec.estimate


def test_entry_point() -> None:
    """The distribution names the plugin by the entry point `mlx`."""
    (entry,) = importlib.metadata.entry_points(group="stoker.v1", name="mlx")

    assert plugin is entry.load()


def test_planning_imports_no_engine(bundle: ModelBundle) -> None:
    """Neither MLX nor numpy is imported to register, to probe and to estimate."""
    program = (
        "import sys\n"
        "from pathlib import Path\n"
        "from stoker.artifact import BundleFile, ModelBundle\n"
        "from stoker.digest import Digest\n"
        "from stoker.media_types import SAFETENSORS, Role\n"
        "from stoker.reference import Reference\n"
        "from stoker_mlx import plugin\n"
        "from stoker_mlx.options import MlxOptions\n"
        "(spec,) = plugin.stoker_register_backends(); spec.probe()\n"
        "role = lambda p: Role.WEIGHTS if p.suffix == '.safetensors' else Role.CONFIG\n"
        "files = [BundleFile(p, role(p), None) for p in Path(sys.argv[1]).iterdir()]\n"
        "bundle = ModelBundle(Reference.parse('x'), Digest.of(b''), tuple(files))\n"
        "assert spec.estimate(bundle, MlxOptions()).needs(512)\n"
        "print(sorted({'mlx', 'mlx_lm', 'numpy', 'tokenizers', 'transformers'} & set(sys.modules)))"
    )
    folder = str(bundle.weights[0].parent)
    command = [sys.executable, "-c", program, folder]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)

    assert "[]" == done.stdout.strip()


def test_probe_names_the_versions() -> None:
    """Where all is installed, the backend is available, and says which library it has."""
    found = plugin.probe()

    assert found.available
    assert f"mlx-lm {importlib.metadata.version('mlx-lm')}" in found.reason


@pytest.mark.parametrize(
    ("versions", "advice"),
    [
        ({}, "pip install 'stoker[mlx]'"),
        ({"mlx-lm": "0.32.2"}, "pip install mlx"),
        ({"mlx-lm": "0.32.2", "mlx": "0.32.4"}, "pip install 'stoker-mlx[cpu]'"),
        ({**WHOLE, "mlx-lm": "0.31.9"}, "mlx-lm 0.31.9 is not among the tested versions"),
        ({**WHOLE, "mlx-lm": "0.33.0"}, "pip install 'mlx-lm"),
    ],
)
def test_what_is_missing_is_said(
    monkeypatch: pytest.MonkeyPatch, versions: Mapping[str, str], advice: str
) -> None:
    """What is not there, or untested, is named with the command that mends it."""
    install(monkeypatch, versions)
    found = plugin.probe()

    assert not found.available
    assert advice in found.reason


@pytest.mark.parametrize("name", ["mlx-cpu", "mlx-cuda-12", "mlx-cuda-13"])
def test_each_library_will_do(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """The wheels for processors and for NVIDIA's GPUs are equally good."""
    install(monkeypatch, {"mlx-lm": "0.32.2", "mlx": "0.32.4", name: "0.32.4"})
    found = plugin.probe()

    assert found.available
    assert name in found.reason


def test_macos_needs_no_library_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """There `mlx` brings what it needs."""
    install(monkeypatch, {"mlx-lm": "0.32.2", "mlx": "0.32.4"})
    monkeypatch.setattr(sys, "platform", "darwin")

    assert plugin.probe().available


def test_a_broken_library_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """A library that does not load is an unavailable backend, in the loader's words."""

    def fail(name: str) -> None:
        raise ImportError("libmlx.so: cannot open shared object file")

    monkeypatch.setattr(importlib, "import_module", fail)

    with pytest.raises(BackendUnavailableError, match="does not load: libmlx"):
        library.load()


def test_devices_are_listed() -> None:
    """There is a processor at least, which a process of its own has found."""
    assert plugin.devices()[-1].kind == "cpu"
