"""Text engines with one fault each; `tools/mutations.py` looks whether the kit finds it."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator

import attrs
import pytest

from stoker.engine import EngineInfo, TextEngine
from stoker.request import GenerateRequest
from stoker.testing import TextEngineContract
from stoker_example.parrot.engine import ParrotEngine, Phrase
from stoker_example.parrot.plugin import ParrotOptions


class Parrot(ParrotEngine):
    """The example's engine, with phrases."""

    def __init__(self) -> None:
        super().__init__([Phrase("*", "You said: {text}")], ParrotOptions())


class Mutant(TextEngineContract):
    """Loads the engine that a subclass names."""

    engine_class: type[TextEngine] = Parrot

    @pytest.fixture
    def load(self) -> Callable[[], TextEngine]:
        return self.engine_class


class Endless(Parrot):
    def generate(self, request: GenerateRequest, *, index: int) -> Iterator[str]:
        return itertools.cycle(list(super().generate(request, index=index)))


class TestEndless(Mutant):
    """Its answers never end."""

    caught_by = frozenset({"test_an_answer_ends"})
    engine_class = Endless


class Gappy(Parrot):
    def generate(self, request: GenerateRequest, *, index: int) -> Iterator[str]:
        pieces = super().generate(request, index=index)
        return (part for piece in pieces for part in (piece, ""))


class TestGappy(Mutant):
    """It says nothing now and then, and that counts as a token."""

    caught_by = frozenset({"test_an_answer_is_pieces_of_text"})
    engine_class = Gappy


class Mixing(Parrot):
    def __init__(self) -> None:
        super().__init__()
        self._pieces: Iterator[str] = iter(())

    def generate(self, request: GenerateRequest, *, index: int) -> Iterator[str]:
        self._pieces = super().generate(request, index=index)
        return self._speak_shared()

    def _speak_shared(self) -> Iterator[str]:
        while (piece := next(self._pieces, None)) is not None:
            yield piece


class TestMixing(Mutant):
    """It keeps the answer under way in the engine, where the next one replaces it."""

    caught_by = frozenset({"test_answers_under_way_do_not_mix"})
    engine_class = Mixing


class Careless(Parrot):
    def generate(self, request: GenerateRequest, *, index: int) -> Iterator[str]:
        return super().generate(attrs.evolve(request, constraint=None), index=index)


class TestCareless(Mutant):
    """It drops a constraint in silence."""

    caught_by = frozenset({"test_a_constraint_is_honoured_or_refused"})
    engine_class = Careless


class Wordy(Parrot):
    @property
    def info(self) -> EngineInfo:
        return attrs.evolve(super().info, vocabulary_size=100)


class TestWordy(Mutant):
    """It claims to have tokens."""

    caught_by = frozenset({"test_info_has_a_context_and_no_vocabulary"})
    engine_class = Wordy
