"""The tests' model, and players: engines that run jobs and remember what came out."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from player import Player as AnyPlayer

from stoker.artifact import BundleFile, ModelBundle
from stoker.digest import Digest
from stoker.media_types import GGUF, Role
from stoker.reference import Reference
from stoker_llama_cpp import binding, plugin
from stoker_llama_cpp.options import LlamaCppOptions

# Before any test imports llama.cpp: what this sets for OpenMP is read but once.
binding.load()


class Player(AnyPlayer):
    """Plays jobs on an engine, which may be told its pace."""

    def fix_pace(self, monkeypatch: pytest.MonkeyPatch, price: float) -> None:
        """Let a guessed token cost a part of a step, whatever else this machine does."""
        pace = self.engine._pace
        monkeypatch.setattr(pace, "price", price)
        monkeypatch.setattr(pace, "token_s", 1.0)
        monkeypatch.setattr(pace, "observe", lambda *_: None)


@pytest.fixture(scope="session")
def bundle_of() -> Callable[..., ModelBundle]:
    """Makes a bundle of weights files, as a store would open it."""

    def make(*paths: Path) -> ModelBundle:
        return ModelBundle(
            reference=Reference.parse("ai/smollm2"),
            digest=Digest("sha256", "0" * 64),
            files=tuple(BundleFile(path, Role.WEIGHTS, GGUF) for path in paths),
        )

    return make


@pytest.fixture(scope="session")
def model_path(model_file: Path) -> Path:
    """The GGUF file of SmolLM2-135M-Instruct."""
    return model_file


@pytest.fixture(scope="session")
def open_player(model_path: Path, bundle_of: Any) -> Callable[..., Player]:
    """Loads an engine as stoker does, on one thread: other tests may run beside."""

    def make(**options: Any) -> Player:
        wanted = LlamaCppOptions(**{"threads": 1, **options})
        return Player(plugin.load(bundle_of(model_path), wanted, lambda stage, fraction: None))

    return make


@pytest.fixture(scope="session")
def player_type() -> type[Player]:
    """Makes a player of an engine."""
    return Player


@pytest.fixture
def load(open_player: Callable[..., Player]) -> Iterator[Callable[..., Player]]:
    """Loads engines with given options, and closes them after the test."""
    players: list[Player] = []

    def make(**options: Any) -> Player:
        players.append(open_player(**options))
        return players[-1]

    yield make
    for player in players:
        player.engine.close()


@pytest.fixture(scope="session")
def shared_engine(open_player: Callable[..., Player]) -> Iterator[Any]:
    """One engine for many tests; take `player`."""
    engine = open_player(context_length=2048).engine
    yield engine
    engine.close()


@pytest.fixture
def player(shared_engine: Any) -> Iterator[Player]:
    """A player on an idle engine, which the test leaves idle again."""
    assert shared_engine.idle
    yield Player(shared_engine)
    assert shared_engine.idle
