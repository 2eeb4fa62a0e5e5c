"""The llama.cpp engine keeps the contract of engines, with a real model."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from bert import write_tiny

from stoker.artifact import BundleFile, ModelBundle
from stoker.backend import BackendSpec
from stoker.digest import Digest
from stoker.engine import Engine
from stoker.media_types import GGUF, Role
from stoker.reference import Reference
from stoker.testing import BackendContract, EngineContract
from stoker_llama_cpp.options import LlamaCppOptions
from stoker_llama_cpp.plugin import load as load_llama_cpp
from stoker_llama_cpp.plugin import stoker_register_backends


@pytest.mark.model
class TestLlamaCpp(EngineContract):
    @pytest.fixture
    def load(self, model_file: Path) -> Callable[[], Engine]:
        """SmolLM2 on one thread, which nothing else on the machine can make wait."""
        bundle = ModelBundle(
            Reference.parse("ai/smollm2"),
            Digest("sha256", "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"),
            (BundleFile(model_file, Role.WEIGHTS, GGUF),),
        )
        options = LlamaCppOptions(threads=1)
        return lambda: load_llama_cpp(bundle, options, lambda stage, fraction: None)


@pytest.mark.model
class TestLlamaCppBackend(BackendContract):
    @pytest.fixture
    def spec(self) -> BackendSpec:
        """The record of llama.cpp."""
        (spec,) = stoker_register_backends()
        return spec

    @pytest.fixture
    def options(self) -> LlamaCppOptions:
        """Small enough to be loaded many times."""
        return LlamaCppOptions(threads=1, context_length=64)

    @pytest.fixture
    def bundle(self, tmp_path: Path) -> ModelBundle:
        """A tiny BERT."""
        write_tiny(tmp_path / "tiny.gguf")
        files = (BundleFile(tmp_path / "tiny.gguf", Role.WEIGHTS, GGUF),)
        return ModelBundle(Reference.parse("ai/tiny"), Digest("sha256", "0" * 64), files)
