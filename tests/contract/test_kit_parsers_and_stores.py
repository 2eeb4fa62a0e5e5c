"""The kit accepts parsers and stores that keep every promise."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from copy_store import CopyStore, make_source
from tag_parser import SAMPLES, TagParser

from stoker.parser import OutputParser
from stoker.reference import Reference
from stoker.store import Store
from stoker.testing import ParsedAnswer, ParserContract, StoreContract


class TestTagParser(ParserContract):
    @pytest.fixture
    def make_parser(self) -> Callable[[], OutputParser]:
        """A parser of a made-up syntax."""
        return TagParser

    @pytest.fixture
    def samples(self) -> Sequence[tuple[str, ParsedAnswer]]:
        """With reasoning, calls, and a mark of one inside the other."""
        return SAMPLES


class TestCopyStore(StoreContract):
    @pytest.fixture
    def make_store(self, tmp_path: Path) -> Callable[[], Store]:
        """A store that copies models out of a folder."""
        make_source(tmp_path / "source")
        return lambda: CopyStore(tmp_path / "store", tmp_path / "source")

    @pytest.fixture
    def reference(self) -> Reference:
        """A model of two files."""
        return Reference.parse("copy:tiny", schemes=("copy",))

    @pytest.fixture
    def missing_reference(self) -> Reference:
        """A model that is not in the folder."""
        return Reference.parse("copy:missing", schemes=("copy",))

    @pytest.fixture
    def damaged_reference(self) -> Reference:
        """A model whose digest is another one's."""
        return Reference.parse("copy:damaged", schemes=("copy",))
