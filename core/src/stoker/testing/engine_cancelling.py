"""Cancelling of engines: what is left of a sequence that nobody wants any more."""

from __future__ import annotations

from collections.abc import Callable

from stoker.engine import Engine, SequenceOutput
from stoker.testing.engine_jobs import MANY, EngineTests, run, tokens_of


class EngineCancelling(EngineTests):
    """What is left of a sequence that nobody wants any more."""

    def test_cancelling_an_unknown_sequence_is_a_no_op(self, engine: Engine) -> None:
        """A sequence may finish while its cancellation travels.

        To mend it: look the id up, and return when it is not there.
        """
        engine.cancel(12345)

        assert engine.idle

    def test_a_cancelled_sequence_says_nothing_more(self, engine: Engine) -> None:
        """After `cancel` no output follows; the others go on.

        To mend it: drop the sequence, and outputs of it that were not returned yet.
        """
        engine.submit(self.job(engine, 1, max_tokens=200))
        engine.submit(self.job(engine, 2, max_tokens=20))
        before: list[SequenceOutput] = []
        while not tokens_of(before, 1):
            before += engine.step()
        engine.cancel(1)
        after = run(engine)

        assert [] == [item for item in after if item.id == 1]
        assert 20 == len(tokens_of([*before, *after], 2))

    def test_a_queued_sequence_can_be_cancelled(self, engine: Engine) -> None:
        """A sequence that never took a step is forgotten just so.

        To mend it: look for the id in the queue as well as among the running ones.
        """
        engine.submit(self.job(engine))
        engine.cancel(1)

        assert [] == run(engine)
        assert engine.idle

    def test_an_id_can_be_used_again(self, engine: Engine) -> None:
        """An id is free once its sequence ended or was cancelled.

        To mend it: drop everything that is kept by the id when the sequence ends.
        """
        engine.submit(self.job(engine, 1, max_tokens=100))
        engine.step()
        engine.cancel(1)
        engine.submit(self.job(engine, 1, max_tokens=3))

        assert 3 == len(tokens_of(run(engine), 1))

    def test_cancelled_sequences_leave_room(self, engine: Engine) -> None:
        """However many sequences were cancelled half-way, the next one runs to its end.

        To mend it: free the sequence's place and its part of the KV cache in `cancel`, or
        in the next step.
        """
        for sequence_id in range(MANY):
            engine.submit(self.job(engine, sequence_id, max_tokens=100))
            engine.step()
            engine.cancel(sequence_id)
        engine.submit(self.job(engine, MANY, max_tokens=3))

        assert 3 == len(tokens_of(run(engine), MANY))

    def test_closes_with_sequences_running(self, load: Callable[[], Engine]) -> None:
        """`close` frees everything, also half-way through a sequence.

        To mend it: drop all sequences first, then free the model.
        """
        engine = load()
        engine.submit(self.job(engine, max_tokens=100))
        engine.step()

        engine.close()
