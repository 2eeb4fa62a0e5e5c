"""The contract tests of the parrot; pytest runs them by way of the project's `tests` folder."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from stoker.artifact import BundleFile, ModelBundle
from stoker.backend import BackendSpec
from stoker.digest import Digest
from stoker.media_types import Role
from stoker.reference import Reference
from stoker.testing import BackendContract, TextEngineContract
from stoker_example.parrot.engine import ParrotEngine, Phrase
from stoker_example.parrot.plugin import PARROT, ParrotOptions, stoker_register_backends


class TestParrot(TextEngineContract):
    """The engine keeps the contract of text engines."""

    @pytest.fixture
    def load(self) -> Callable[[], ParrotEngine]:
        """A parrot that repeats what it hears."""
        return lambda: ParrotEngine([Phrase("*", "You said: {text}")], ParrotOptions())


class TestParrotBackend(BackendContract):
    """The record keeps the contract of backends."""

    @pytest.fixture
    def spec(self) -> BackendSpec:
        """The record."""
        (spec,) = stoker_register_backends()
        return spec

    @pytest.fixture
    def bundle(self, tmp_path: Path) -> ModelBundle:
        """A parrot with one phrase."""
        path = tmp_path / "weights"
        path.write_text("*: You said: {text}\n", encoding="utf-8")
        files = (BundleFile(path, Role.WEIGHTS, PARROT),)
        return ModelBundle(Reference.parse("test/polly"), Digest.of(path.read_bytes()), files)
