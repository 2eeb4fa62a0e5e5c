"""Steps of engines: how sequences advance, side by side, to their ends."""

from __future__ import annotations

import attrs
import pytest

from stoker.engine import Engine
from stoker.errors import InvalidRequestError
from stoker.events import FinishReason
from stoker.testing.engine_jobs import MANY, EngineTests, run, tokens_of


class EngineSteps(EngineTests):
    """How sequences advance, side by side, to their ends."""

    def test_a_fresh_engine_is_idle(self, engine: Engine) -> None:
        """Without sequences there is nothing to do, and `step` returns at once with nothing.

        To mend it: count the sequences that are queued or running, and return early in
        `step` without one.
        """
        assert engine.idle
        assert [] == list(engine.step())

    def test_a_sequence_runs_to_one_end(self, engine: Engine) -> None:
        """A sequence ends once, by its last output, and leaves the engine idle.

        To mend it: set `finish` in the output with the last token, and forget the sequence
        there.
        """
        engine.submit(self.job(engine))
        assert not engine.idle
        outputs = run(engine)

        assert [FinishReason.LENGTH] == [item.finish for item in outputs if item.finish]
        assert outputs[-1].finish is FinishReason.LENGTH
        assert [] == [item.error for item in outputs if item.error is not None]
        assert [] == list(engine.step())

    def test_outputs_come_in_order(self, engine: Engine) -> None:
        """First the prompt is read, to its last token, then tokens come one after another.

        `prefilled` grows up to the length of the prompt; `cached` comes with the first.

        To mend it: send `prefilled` with every batch of the prompt, the last one included,
        and not after that.
        """
        job = self.job(engine)
        engine.submit(job)
        outputs = run(engine)
        prefilled = [item.prefilled for item in outputs if item.prefilled is not None]
        decoding = [item.prefilled is None for item in outputs]

        assert prefilled == sorted(prefilled)
        assert len(job.prompt) == prefilled[-1]
        assert decoding == sorted(decoding)
        assert {job.id} == {item.id for item in outputs}

    def test_max_tokens_is_exact(self, engine: Engine) -> None:
        """With `ignore_end` there are exactly `max_tokens` tokens, all from the vocabulary.

        To mend it: count sampled tokens per sequence, and ignore end tokens when
        `ignore_end` is set.
        """
        engine.submit(self.job(engine, max_tokens=5))
        tokens = tokens_of(run(engine), 1)

        assert 5 == len(tokens)
        assert all(0 <= token < engine.info.vocabulary_size for token in tokens)

    def test_sequences_run_side_by_side(self, engine: Engine) -> None:
        """Several sequences each get all their tokens and one end, whatever the batches are.

        To mend it: keep counters and samplers per sequence.
        """
        lengths = {1: 3, 2: 9, 3: 6}
        for sequence_id, max_tokens in lengths.items():
            text = f"{self.text} {sequence_id}"
            engine.submit(self.job(engine, sequence_id, text=text, max_tokens=max_tokens))
        outputs = run(engine)

        assert lengths == {key: len(tokens_of(outputs, key)) for key in lengths}
        assert sorted(lengths) == sorted(item.id for item in outputs if item.finish)

    def test_a_running_engine_takes_more(self, engine: Engine) -> None:
        """A sequence that is submitted between steps joins those that run.

        To mend it: let `step` look at the queue each time.
        """
        engine.submit(self.job(engine, 1, max_tokens=12))
        outputs = list(engine.step())
        engine.submit(self.job(engine, 2, max_tokens=4))
        outputs += run(engine)

        assert 12 == len(tokens_of(outputs, 1))
        assert 4 == len(tokens_of(outputs, 2))

    def test_an_impossible_job_is_refused(self, engine: Engine) -> None:
        """A job that can never run is refused by `submit` and leaves nothing behind.

        A token outside the vocabulary, for one, makes C libraries abort the process.

        To mend it: check the ids and the length in `submit`, before anything is stored.
        """
        job = attrs.evolve(self.job(engine), prompt=(engine.info.vocabulary_size,))

        with pytest.raises(InvalidRequestError):
            engine.submit(job)
        assert engine.idle

    def test_finished_sequences_leave_room(self, engine: Engine) -> None:
        """However many sequences came to their end, the next one runs to its own.

        To mend it: free both where the sequence ends; queue what finds no place.
        """
        for sequence_id in range(MANY):
            engine.submit(self.job(engine, sequence_id, max_tokens=1))
        outputs = run(engine)
        engine.submit(self.job(engine, MANY, max_tokens=3))

        assert list(range(MANY)) == sorted(item.id for item in outputs if item.finish)
        assert 3 == len(tokens_of(run(engine), MANY))
