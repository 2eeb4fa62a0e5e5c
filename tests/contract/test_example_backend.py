"""The parrot keeps the contract of text engines."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from parrot_bundle import parrot_bundle

from stoker.artifact import ModelBundle
from stoker.backend import BackendSpec
from stoker.testing import BackendContract, TextEngineContract
from stoker_example.parrot.engine import ParrotEngine, Phrase
from stoker_example.parrot.plugin import ParrotOptions, stoker_register_backends


class TestParrot(TextEngineContract):
    @pytest.fixture
    def load(self) -> Callable[[], ParrotEngine]:
        """A parrot that repeats what it hears."""
        return lambda: ParrotEngine([Phrase("*", "You said: {text}")], ParrotOptions())


class TestParrotBackend(BackendContract):
    @pytest.fixture
    def spec(self) -> BackendSpec:
        """The record of the parrot."""
        (spec,) = stoker_register_backends()
        return spec

    @pytest.fixture
    def bundle(self, tmp_path: Path) -> ModelBundle:
        """A parrot with one phrase."""
        return parrot_bundle(tmp_path)
