"""Tiny models, and players of jobs on them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import tiny_mlx
from player import Player

from stoker.artifact import ModelBundle
from stoker_mlx import plugin
from stoker_mlx.options import MlxOptions


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a tiny model of attention layers."""
    return tiny_mlx.llama(tmp_path_factory.mktemp("tiny") / "llama")


@pytest.fixture(scope="session")
def windowed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a tiny model with sliding windows."""
    return tiny_mlx.sliding(tmp_path_factory.mktemp("tiny") / "sliding")


@pytest.fixture(scope="session")
def bundle(tiny: Path) -> ModelBundle:
    """The tiny model as a store opens it."""
    return tiny_mlx.bundle_of(tiny)


@pytest.fixture
def load(tiny: Path) -> Iterator[Callable[..., Player]]:
    """Loads the tiny model, or that of another folder, and closes it after the test."""
    players: list[Player] = []

    def make(folder: Path = tiny, **options: Any) -> Player:
        wanted = MlxOptions(**options)
        players.append(
            Player(plugin.load(tiny_mlx.bundle_of(folder), wanted, lambda stage, fraction: None))
        )
        return players[-1]

    yield make
    for player in players:
        player.engine.close()
