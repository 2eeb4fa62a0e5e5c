"""The estimate of MLX's backend keeps its contract, with caches of each kind."""

from __future__ import annotations

from pathlib import Path

import pytest
import tiny_mlx

from stoker.artifact import ModelBundle
from stoker.backend import BackendSpec
from stoker.testing import EstimateContract
from stoker_mlx import plugin


class _Contract(EstimateContract):
    plugin_module = "stoker_mlx.plugin"
    engine_modules = ("mlx", "mlx_lm", "numpy", "tokenizers", "transformers")

    @pytest.fixture
    def backend(self) -> BackendSpec:
        """The record of MLX's backend."""
        (spec,) = plugin.stoker_register_backends()
        return spec


class TestAttention(_Contract):
    @pytest.fixture
    def bundle(self, tmp_path: Path) -> ModelBundle:
        """A tiny model of attention layers."""
        return tiny_mlx.bundle_of(tiny_mlx.llama(tmp_path / "tiny"))


class TestWindows(_Contract):
    @pytest.fixture
    def bundle(self, tmp_path: Path) -> ModelBundle:
        """A tiny model with sliding windows."""
        return tiny_mlx.bundle_of(tiny_mlx.sliding(tmp_path / "tiny"))
