"""Fixtures for the example plugins."""

from __future__ import annotations

import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

MakeWheel = Callable[..., Path]


@pytest.fixture
def wheels(tmp_path: Path) -> Path:
    """The folder that wheels are made in."""
    folder = tmp_path / "wheels"
    folder.mkdir()
    return folder


@pytest.fixture
def make_wheel(wheels: Path) -> MakeWheel:
    """A function that makes a wheel of the given files, by name."""

    def make(files: Mapping[str, bytes], *, version: str = "1.0") -> Path:
        path = wheels / f"tiny_model-{version}-py3-none-any.whl"
        info = f"tiny_model-{version}.dist-info"
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as wheel:
            for name, data in files.items():
                wheel.writestr(name, data)
            wheel.writestr(f"{info}/METADATA", f"Name: tiny-model\nVersion: {version}\n")
            wheel.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nTag: py3-none-any\n")
        return path

    return make
