"""Text engines with one fault each; `tools/mutations.py` looks whether the kit finds it."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator

import attrs
import pytest

from stoker.engine import AnswerEnd, EngineInfo, Piece, PieceStream, TextEngine
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


class Talkative(Parrot):
    counts_tokens = True

    def generate(self, request: GenerateRequest, *, index: int) -> Iterator[Piece]:
        pieces = list(super().generate(request, index=index))
        return iter([*pieces, AnswerEnd(prompt_tokens=1, completion_tokens=len(pieces))])


class TestTalkative(Mutant):
    """It counts tokens, and goes on beyond the limit."""

    caught_by = frozenset({"test_an_engine_that_counts_ends_in_time"})
    engine_class = Talkative


class Afterthought(Parrot):
    def generate(self, request: GenerateRequest, *, index: int) -> Iterator[Piece]:
        return iter([AnswerEnd(), *super().generate(request, index=index)])


class TestAfterthought(Mutant):
    """It goes on after it has said that this was all."""

    caught_by = frozenset({"test_the_end_comes_last", "test_the_pipeline_makes_events_of_it"})
    engine_class = Afterthought


class ShyStream(PieceStream):
    def __init__(self, pieces: Iterator[Piece]) -> None:
        self._pieces = pieces
        self._left = 2

    def ready(self) -> bool:
        return self._left > 0

    def __next__(self) -> Piece:
        self._left -= 1
        return next(self._pieces)

    def close(self) -> None:
        self._pieces = iter(())


class Shy(Parrot):
    def generate(self, request: GenerateRequest, *, index: int) -> Iterator[Piece]:
        return ShyStream(super().generate(request, index=index))


class TestShy(Mutant):
    """Its streams are never ready after their second piece."""

    caught_by = frozenset({"test_a_stream_is_ready_in_time"})
    answer_timeout_s = 0.3
    engine_class = Shy
