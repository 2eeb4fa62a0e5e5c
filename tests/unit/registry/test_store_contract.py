"""The OCI store keeps the contract of stores."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from stoker.formats import FormatTable
from stoker.reference import Reference
from stoker.store import PackageSource, StoreContext
from stoker.testing import WritableStoreContract
from stoker_registry.formats import FORMAT_RULES
from stoker_registry.options import OciOptions
from stoker_registry.store import OciStore

from .conftest import FakeRegistry, MakeStore


class TestOciStore(WritableStoreContract):
    @pytest.fixture
    def make_store(self, make_store: MakeStore) -> Callable[[], OciStore]:
        """Stores on one folder."""
        return lambda: make_store("contract")

    @pytest.fixture
    def other_store(self, tmp_path: Path) -> OciStore:
        """A store on another folder."""
        formats = FormatTable.of(FORMAT_RULES)
        return OciStore(StoreContext(tmp_path / "elsewhere", OciOptions(timeout_s=5), formats))

    @pytest.fixture
    def source(self, gguf: Path) -> PackageSource:
        """A small GGUF file."""
        return PackageSource(weights=(gguf,))

    @pytest.fixture
    def made(self, registry: FakeRegistry) -> Reference:
        """A name in the registry that has nothing yet."""
        return registry.reference("team/made:v1")

    @pytest.fixture
    def unreachable(self) -> Reference:
        """Nobody listens there."""
        return Reference.parse("127.0.0.1:9/team/made:v1")

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
