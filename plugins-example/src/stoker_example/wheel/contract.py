"""The contract tests of the store; pytest runs them by way of the project's `tests` folder."""

from __future__ import annotations

import os
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from stoker.formats import FormatTable
from stoker.reference import Reference
from stoker.testing import StoreContract
from stoker_example.wheel.plugin import stoker_register_formats
from stoker_example.wheel.store import WheelStore

SCHEMES = ("wheel",)


class TestWheelStore(StoreContract):
    """The store keeps the contract of stores."""

    @pytest.fixture
    def make_store(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> Callable[[], WheelStore]:
        """A store whose pip finds one small wheel in a folder and nothing elsewhere."""
        wheels = tmp_path / "wheels"
        wheels.mkdir()
        info = "tiny_model-1.0.dist-info"
        with zipfile.ZipFile(wheels / "tiny_model-1.0-py3-none-any.whl", "w") as wheel:
            wheel.writestr("tiny_model/tiny.gguf", b"GGUF" + os.urandom(3_000_000))
            wheel.writestr(f"{info}/licenses/LICENSE", "Free.\n")
            wheel.writestr(f"{info}/METADATA", "Name: tiny-model\nVersion: 1.0\n")
            wheel.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nTag: py3-none-any\n")
        # A stored file whose bytes are changed afterwards no longer has the checksum that is noted.
        path = wheels / "tiny_model-3.0-py3-none-any.whl"
        with zipfile.ZipFile(path, "w") as wheel:
            wheel.writestr("tiny_model/tiny.gguf", b"GGUF good weights")
            wheel.writestr("tiny_model-3.0.dist-info/METADATA", "Name: tiny-model\nVersion: 3.0\n")
            wheel.writestr("tiny_model-3.0.dist-info/WHEEL", "Wheel-Version: 1.0\n")
        path.write_bytes(path.read_bytes().replace(b"good weights", b"evil weights"))
        monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
        monkeypatch.setenv("PIP_NO_INDEX", "1")
        monkeypatch.setenv("PIP_FIND_LINKS", str(wheels))
        formats = FormatTable.of(stoker_register_formats())
        return lambda: WheelStore(tmp_path / "store", formats, timeout_s=60)

    @pytest.fixture
    def reference(self) -> Reference:
        """The small wheel."""
        return Reference.parse("wheel:tiny-model==1.0", schemes=SCHEMES)

    @pytest.fixture
    def damaged_reference(self) -> Reference:
        """A version whose bytes were changed."""
        return Reference.parse("wheel:tiny-model==3.0", schemes=SCHEMES)

    @pytest.fixture
    def missing_reference(self) -> Reference:
        """A version that there is not."""
        return Reference.parse("wheel:tiny-model==2.0", schemes=SCHEMES)
