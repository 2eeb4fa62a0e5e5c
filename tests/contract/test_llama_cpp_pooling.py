"""The pooling engine of llama.cpp keeps its contract: embeddings by encoder and decoder, scores."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from bert import RANK_POOLING, write_tiny

from stoker.artifact import BundleFile, ModelBundle
from stoker.digest import Digest
from stoker.engine import Engine
from stoker.media_types import GGUF, Role
from stoker.reference import Reference
from stoker.testing import PoolingContract
from stoker_llama_cpp.options import LlamaCppOptions
from stoker_llama_cpp.plugin import load as load_llama_cpp


def loader(path: Path, **options: Any) -> Callable[[], Engine]:
    """A function that loads a file, on one thread."""
    files = (BundleFile(path, Role.WEIGHTS, GGUF),)
    bundle = ModelBundle(Reference.parse("ai/pooling"), Digest("sha256", "0" * 64), files)
    wanted = LlamaCppOptions(threads=1, **options)
    return lambda: load_llama_cpp(bundle, wanted, lambda stage, fraction: None)


class TestEncoder(PoolingContract):
    @pytest.fixture
    def load(self, tmp_path: Path) -> Callable[[], Engine]:
        """A tiny BERT."""
        write_tiny(tmp_path / "tiny.gguf")
        return loader(tmp_path / "tiny.gguf")


class TestReranker(PoolingContract):
    texts = ("query", "aa bb", "zz yy xx")

    @pytest.fixture
    def load(self, tmp_path: Path) -> Callable[[], Engine]:
        """A tiny BERT with a classifier."""
        write_tiny(tmp_path / "tiny.gguf", pooling=RANK_POOLING, classes=1)
        return loader(tmp_path / "tiny.gguf")


@pytest.mark.model
class TestDecoder(PoolingContract):
    @pytest.fixture
    def load(self, model_file: Path) -> Callable[[], Engine]:
        """SmolLM2, made to give embeddings: with a KV cache and causal attention."""
        return loader(model_file, pooling="last", context_length=64, batch_size=128)


@pytest.mark.model
class TestMiniLM(PoolingContract):
    @pytest.fixture
    def load(self, embedder_file: Path) -> Callable[[], Engine]:
        """The model that most people would take."""
        return loader(embedder_file)
