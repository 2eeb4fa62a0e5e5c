"""The estimate of llama.cpp keeps its contract, with a real model and with one for embeddings."""

from __future__ import annotations

from pathlib import Path

import pytest

from stoker.artifact import BundleFile, ModelBundle
from stoker.backend import BackendSpec
from stoker.digest import Digest
from stoker.media_types import GGUF, Role
from stoker.reference import Reference
from stoker.testing import EstimateContract
from stoker_llama_cpp import plugin


class _Contract(EstimateContract):
    plugin_module = "stoker_llama_cpp.plugin"
    engine_modules = ("llama_cpp", "numpy")

    @pytest.fixture
    def backend(self) -> BackendSpec:
        """The plugin's record."""
        (spec,) = plugin.stoker_register_backends()
        return spec


def _bundle(path: Path) -> ModelBundle:
    files = (BundleFile(path, Role.WEIGHTS, GGUF),)
    return ModelBundle(Reference.parse("ai/model"), Digest("sha256", "0" * 64), files)


@pytest.mark.model
class TestGenerating(_Contract):
    @pytest.fixture
    def bundle(self, model_file: Path) -> ModelBundle:
        """SmolLM2."""
        return _bundle(model_file)


@pytest.mark.model
class TestEmbedding(_Contract):
    @pytest.fixture
    def bundle(self, embedder_file: Path) -> ModelBundle:
        """MiniLM, of which the context is 512 tokens at most."""
        return _bundle(embedder_file)
