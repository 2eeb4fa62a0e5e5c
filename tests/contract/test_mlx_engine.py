"""The engine of MLX keeps the contract of engines, with caches of each kind."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import tiny_mlx

from stoker.artifact import ModelBundle
from stoker.backend import BackendSpec
from stoker.engine import Engine
from stoker.testing import BackendContract, EngineContract, PoolingContract
from stoker_mlx import plugin
from stoker_mlx.options import MlxOptions
from stoker_mlx.plugin import load as load_mlx


def loader(folder: Path, **options: Any) -> Callable[[], Engine]:
    """A function that loads the model of a folder."""
    bundle = tiny_mlx.bundle_of(folder)
    wanted = MlxOptions(**{"context_length": 512, **options})
    return lambda: load_mlx(bundle, wanted, lambda stage, fraction: None)


class TestMlx(EngineContract):
    @pytest.fixture
    def load(self, tmp_path: Path) -> Callable[[], Engine]:
        """A tiny model of attention layers."""
        return loader(tiny_mlx.llama(tmp_path / "tiny"))


class TestWithoutPrefixes(EngineContract):
    @pytest.fixture
    def load(self, tmp_path: Path) -> Callable[[], Engine]:
        """The same, with nothing kept of prompts."""
        return loader(tiny_mlx.llama(tmp_path / "tiny"), prefix_cache_bytes=0)


class TestSlidingWindow(EngineContract):
    @pytest.fixture
    def load(self, tmp_path: Path) -> Callable[[], Engine]:
        """A tiny model with sliding windows."""
        return loader(tiny_mlx.sliding(tmp_path / "tiny"))


class TestQuantisedCache(EngineContract):
    @pytest.fixture
    def load(self, tmp_path: Path) -> Callable[[], Engine]:
        """A model with wider heads, with 8 bits for each number in its KV cache."""
        folder = tiny_mlx.llama(tmp_path / "tiny", hidden_size=128)
        return loader(folder, kv_bits=8, kv_group_size=32)


class TestEmbeddings(PoolingContract):
    @pytest.fixture
    def load(self, tmp_path: Path) -> Callable[[], Engine]:
        """The tiny model, made to give embeddings."""
        return loader(tiny_mlx.llama(tmp_path / "tiny"), pooling="mean", context_length=128)


class TestBackend(BackendContract):
    @pytest.fixture
    def spec(self) -> BackendSpec:
        """The record of MLX's backend."""
        (spec,) = plugin.stoker_register_backends()
        return spec

    @pytest.fixture
    def bundle(self, tmp_path: Path) -> ModelBundle:
        """A tiny model."""
        return tiny_mlx.bundle_of(tiny_mlx.llama(tmp_path / "tiny"))
