"""The contract of text engines (`stoker.engine.TextEngine`), as tests."""

from __future__ import annotations

import time
from collections.abc import Callable
from itertools import islice

import attrs
import pytest

from stoker.engine import AnswerEnd, Piece, PieceStream, TextEngine
from stoker.errors import InvalidRequestError
from stoker.events import Finished, FinishReason
from stoker.messages import Author, Message, TextPart
from stoker.request import ChatPrompt, Constraint, ConstraintKind, GenerateRequest
from stoker.testing.events import check_events
from stoker.testing.loaded import LoadedContract
from stoker.testing.pipeline import answer

MAX_PIECES = 1000
"""How far an answer is read before the tests call it endless."""
WAIT_S = 0.05


class TextEngineContract(LoadedContract[TextEngine]):
    """What every `TextEngine` must do. Override `load`, and `request` where it does not fit."""

    supports_constraints = False
    """Set it when the engine can prescribe the form of an answer."""
    answer_timeout_s = 20.0
    """How long a whole answer may take that comes from somewhere else."""

    @pytest.fixture
    def request_to_answer(self) -> GenerateRequest:
        """A request that the engine answers with two pieces or more."""
        hello = Message(Author.USER, (TextPart("Say hello to all of us, please."),))
        return GenerateRequest(model="test", prompt=ChatPrompt((hello,)))

    def test_info_has_a_context_and_no_vocabulary(self, engine: TextEngine) -> None:
        """`info` tells how long a sequence may be, and that there are no tokens.

        To mend it: set `vocabulary_size=0`, and the number of pieces that an answer may
        have.
        """
        info = engine.info

        assert info.context_length > 0
        assert 0 == info.vocabulary_size

    def test_an_answer_is_pieces_of_text(
        self, engine: TextEngine, request_to_answer: GenerateRequest
    ) -> None:
        """Every piece has something in it, because each counts as a token.

        To mend it: yield pieces as they come, and leave empty ones out.
        """
        pieces = list(islice(engine.generate(request_to_answer, index=0), MAX_PIECES))

        assert len(pieces) >= 2
        assert all(isinstance(piece, Piece) for piece in pieces)
        assert all(pieces)

    def test_an_answer_ends(self, engine: TextEngine, request_to_answer: GenerateRequest) -> None:
        """The iterator stops when the answer is complete, and stays stopped.

        To mend it: return from the generator at the end of the answer.
        """
        text = engine.generate(request_to_answer, index=0)
        pieces = list(islice(text, MAX_PIECES))

        assert len(pieces) < MAX_PIECES
        assert [] == list(text)

    def test_the_end_comes_last(
        self, engine: TextEngine, request_to_answer: GenerateRequest
    ) -> None:
        """An engine that counts tokens ends each answer by an `AnswerEnd`, which nothing follows.

        To mend it: yield `AnswerEnd` once, as the last piece, with what was counted; or leave
        `counts_tokens` unset.
        """
        pieces = list(islice(engine.generate(request_to_answer, index=0), MAX_PIECES))
        ends = [piece for piece in pieces if isinstance(piece, AnswerEnd)]

        assert ends in ([], pieces[-1:])
        if engine.counts_tokens:
            assert ends
            assert ends[0].completion_tokens is not None

    def test_an_engine_that_counts_ends_in_time(
        self, engine: TextEngine, request_to_answer: GenerateRequest
    ) -> None:
        """With `counts_tokens` it is the engine that ends an answer at `max_tokens`.

        To mend it: stop at `max_tokens` and say so by `AnswerEnd(FinishReason.LENGTH, ...)`.
        """
        if not engine.counts_tokens:
            return
        request = attrs.evolve(request_to_answer, max_tokens=1)
        *pieces, end = islice(engine.generate(request, index=0), MAX_PIECES)

        assert len(pieces) <= 1
        assert isinstance(end, AnswerEnd)
        assert (FinishReason.LENGTH, 1) == (end.reason, end.completion_tokens)

    def test_a_stream_is_ready_in_time(
        self, engine: TextEngine, request_to_answer: GenerateRequest
    ) -> None:
        """A `PieceStream` becomes ready for each piece while the engine waits, and for its end.

        To mend it: let whoever writes the answer wake `wait` up, and let `ready` be true when a
        piece, an error or the end is there.
        """
        pieces = engine.generate(request_to_answer, index=0)
        if not isinstance(pieces, PieceStream):
            return
        taken = 0
        end_s = time.monotonic() + self.answer_timeout_s
        while time.monotonic() < end_s:
            if not pieces.ready():
                engine.wait(WAIT_S)
            elif next(pieces, None) is None:
                break
            else:
                taken += 1

        assert taken >= 2
        assert pieces.ready()
        assert time.monotonic() < end_s, f"after {taken} pieces it is not ready for the next"

    def test_answers_under_way_do_not_mix(
        self, engine: TextEngine, request_to_answer: GenerateRequest
    ) -> None:
        """Iterators that are read in turn give whole answers each.

        State belongs to the iterator; what the engine itself keeps must not change.

        To mend it: keep what belongs to an answer in local variables of its generator.
        """
        first = engine.generate(request_to_answer, index=0)
        second = engine.generate(request_to_answer, index=0)
        head = [next(first), next(second)]
        rest = [list(islice(first, MAX_PIECES)), list(islice(second, MAX_PIECES))]

        assert all(head)
        assert all(rest)

    def test_a_closed_answer_does_no_harm(
        self, engine: TextEngine, request_to_answer: GenerateRequest
    ) -> None:
        """A cancelled request's iterator is closed half-way; the next one gets its answer.

        To mend it: free in `finally`, and keep nothing of the request in the engine.
        """
        text = engine.generate(request_to_answer, index=0)
        next(text)
        close = getattr(text, "close", None)
        if close is not None:
            close()

        assert list(islice(engine.generate(request_to_answer, index=0), MAX_PIECES))

    def test_choices_are_answers_of_their_own(
        self, engine: TextEngine, request_to_answer: GenerateRequest
    ) -> None:
        """Each of a request's `n` choices is generated by its own call.

        To mend it: start anew in each call of `generate`.
        """
        request = attrs.evolve(request_to_answer, n=2)

        for index in range(2):
            assert list(islice(engine.generate(request, index=index), MAX_PIECES))

    def test_a_constraint_is_honoured_or_refused(
        self, engine: TextEngine, request_to_answer: GenerateRequest
    ) -> None:
        """What the engine cannot do it refuses in `generate`; it never drops it in silence.

        A generator function raises only at the first `next`: check first, then return another
        function's generator.

        To mend it: raise `UnsupportedFeatureError` in `generate` itself.
        """
        constraint = Constraint(ConstraintKind.CHOICE, '["yes", "no"]')
        request = attrs.evolve(request_to_answer, constraint=constraint)

        if self.supports_constraints:
            pieces = engine.generate(request, index=0)
            assert "".join(piece for piece in pieces if isinstance(piece, str)) in {"yes", "no"}
        else:
            with pytest.raises(InvalidRequestError):
                engine.generate(request, index=0)

    def test_the_pipeline_makes_events_of_it(
        self, load: Callable[[], TextEngine], request_to_answer: GenerateRequest
    ) -> None:
        """Behind the core's text pipeline the engine answers in the documented order of events.

        `max_tokens` counts pieces and is the core's business, unless the engine counts tokens.

        To mend it: mend the tests above first: this one puts them together.
        """
        events = answer(load(), attrs.evolve(request_to_answer, max_tokens=2, n=2))

        check_events(events, n=2)
        last = events[-1]
        assert isinstance(last, Finished)
        assert 4 == last.usage.completion_tokens

    def test_closes_with_an_answer_under_way(
        self, load: Callable[[], TextEngine], request_to_answer: GenerateRequest
    ) -> None:
        """`close` frees everything, also when requests were not answered to the end.

        To mend it: let `close` free the library's objects whatever runs.
        """
        engine = load()
        next(engine.generate(request_to_answer, index=0))

        engine.close()
