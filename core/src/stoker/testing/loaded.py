"""What the contracts of all kinds of engines share."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Generic, TypeVar

import pytest

from stoker.engine import Engine, TextEngine
from stoker.testing.contract import Contract, missing_fixture

AnyEngine = TypeVar("AnyEngine", Engine, TextEngine)


class LoadedContract(Contract, Generic[AnyEngine]):
    """Base of the contracts of what a backend loads. Override `load`."""

    @pytest.fixture
    def load(self) -> Callable[[], AnyEngine]:
        """A function that loads a fresh engine. Override this."""
        missing_fixture(self, "load", "return a function that loads a fresh engine")

    @pytest.fixture
    def engine(self, load: Callable[[], AnyEngine]) -> Iterator[AnyEngine]:
        """A loaded engine, closed after the test."""
        engine = load()
        yield engine
        engine.close()
