"""The parrot keeps the contract of text engines."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from stoker.testing import TextEngineContract
from stoker_example.parrot.engine import ParrotEngine, Phrase
from stoker_example.parrot.plugin import ParrotOptions


class TestParrot(TextEngineContract):
    @pytest.fixture
    def load(self) -> Callable[[], ParrotEngine]:
        """A parrot that repeats what it hears."""
        return lambda: ParrotEngine([Phrase("*", "You said: {text}")], ParrotOptions())
