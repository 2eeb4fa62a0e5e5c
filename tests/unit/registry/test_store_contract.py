"""The OCI store keeps the contract of stores."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from stoker.reference import Reference
from stoker.store import Store
from stoker.testing.store import StoreContract

from .conftest import FakeRegistry, MakeStore


class TestOciStore(StoreContract):
    @pytest.fixture
    def make_store(self, make_store: MakeStore) -> Callable[[], Store]:
        """Stores on one folder."""
        return lambda: make_store("contract")

    @pytest.fixture
    def reference(self, registry: FakeRegistry) -> Reference:
        """A model of two layers."""
        registry.add(
            [
                ("application/vnd.docker.ai.gguf.v3", b"weights" * 1000, "tiny.gguf"),
                ("application/vnd.docker.ai.license", b"free", "LICENSE"),
            ]
        )
        return registry.reference()

    @pytest.fixture
    def damaged_reference(self, registry: FakeRegistry) -> Reference:
        """A model whose weights are not those that its manifest names."""
        manifest = registry.add(
            [("application/vnd.docker.ai.gguf.v3", b"good", "x.gguf")], tag="v2"
        )
        registry.blobs[str(manifest.layers[0].digest)] = b"evil"
        return registry.reference("ai/tiny:v2")

    @pytest.fixture
    def missing_reference(self, registry: FakeRegistry) -> Reference:
        """A model that the registry does not have."""
        return registry.reference("ai/missing:v1")
