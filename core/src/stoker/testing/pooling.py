"""The contract of engines that make embeddings or rank, as tests."""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence

import attrs
import pytest

from stoker.engine import Engine, Mode, PoolingJob, SequenceJob, SequenceOutput
from stoker.errors import InvalidRequestError
from stoker.request import EmbedRequest, RerankRequest, TextPrompt
from stoker.sampling import DEFAULT_SAMPLING
from stoker.testing.engine_jobs import run
from stoker.testing.events import check_pooling_events
from stoker.testing.loaded import LoadedContract
from stoker.testing.pipeline import answer

TOLERANCE = 0.01
"""How far a number may be off when other texts are computed beside, relative to the largest."""


class PoolingContract(LoadedContract[Engine]):
    """What every `Engine` with `Mode.EMBED` or `Mode.RERANK` must do. Override `load`.

    One that generates as well has `EngineContract` besides.
    """

    texts: Sequence[str] = ("the quick brown fox", "jumps", "over the lazy dog and runs away")
    """Texts of different lengths, none of which the model takes for another one."""

    def mode(self, engine: Engine) -> Mode:
        """The mode to test: ranking only where there are no embeddings."""
        modes = engine.info.modes
        assert modes & {Mode.EMBED, Mode.RERANK}, f"The engine pools nothing: {modes}."
        return Mode.EMBED if Mode.EMBED in modes else Mode.RERANK

    def job(self, engine: Engine, job_id: int = 1, text: str | None = None) -> PoolingJob:
        """Make a job of a text."""
        mode = self.mode(engine)
        text = self.texts[0] if text is None else text
        if mode is Mode.EMBED:
            tokens = engine.encode(text, add_special=True, parse_special=False)
        else:
            tokens = engine.encode_pair(self.texts[0], text)
        return PoolingJob(job_id, mode, tuple(tokens))

    def test_info_describes_the_model(self, engine: Engine) -> None:
        """`info` tells the modes, how long a text may be and what an embedding has.

        To mend it: fill `modes`, `context_length` and, with `EMBED`, `embedding_length`.
        """
        info = engine.info

        assert info.context_length > 0
        assert info.vocabulary_size > 0
        assert (Mode.EMBED in info.modes) == (info.embedding_length is not None)

    def test_every_text_gets_one_result(self, engine: Engine) -> None:
        """Each job has one output, of its mode and form, and the engine is idle then.

        To mend it: return one output per job, with the field of its mode, and forget the
        job there.
        """
        for index, text in enumerate(self.texts):
            engine.submit_pooling(self.job(engine, index, text))
        assert not engine.idle
        outputs = run(engine)

        assert list(range(len(self.texts))) == sorted(output.id for output in outputs)
        for output in outputs:
            assert output.error is None
            assert (output.tokens, output.finish) == ((), None)
            numbers = _numbers(output)
            if engine.info.embedding_length is not None and output.embedding is not None:
                assert engine.info.embedding_length == len(numbers)
                assert any(numbers)
            else:
                assert output.score is not None
                assert 0 <= output.score <= 1
        assert [] == list(engine.step())

    def test_texts_do_not_see_each_other(self, engine: Engine) -> None:
        """A text's result is the same alone and beside others, but for the last digits.

        To mend it: give every text its own sequence id, and no attention across them.
        """
        together = {}
        for index, text in enumerate(self.texts):
            engine.submit_pooling(self.job(engine, index, text))
        for output in run(engine):
            together[output.id] = _numbers(output)
        for index, text in enumerate(self.texts):
            engine.submit_pooling(self.job(engine, 0, text))
            (output,) = run(engine)
            assert _close(together[index], _numbers(output))
        first, second, *_ = together.values()
        assert not _close(first, second), "Different texts have different results."

    def test_lower_turns_go_first(self, engine: Engine) -> None:
        """However many texts wait, one with a lower turn does not come after them.

        To mend it: sort what waits by priority, then turn, then arrival.
        """
        count = 300
        for index in range(count):
            engine.submit_pooling(attrs.evolve(self.job(engine, index), turn=index + 1))
        engine.submit_pooling(attrs.evolve(self.job(engine, count), turn=0))

        assert count in {output.id for output in engine.step()}
        for index in range(count):
            engine.cancel(index)

    def test_a_step_has_bounds(self, engine: Engine) -> None:
        """Many texts take many steps, so that cancelling and newcomers need not wait for all.

        To mend it: take as many texts per step as fit into one batch.
        """
        text = " ".join(self.texts)
        for index in range(1000):
            engine.submit_pooling(self.job(engine, index, text))

        assert 0 < len(engine.step()) < 1000
        for index in range(1000):
            engine.cancel(index)
        assert engine.idle

    def test_an_impossible_job_is_refused(self, engine: Engine) -> None:
        """A job that can never run is refused at once and leaves nothing behind.

        To mend it: check tokens and length in `submit_pooling`, before anything is stored.
        """
        job = self.job(engine)
        info = engine.info
        for tokens in ((), (info.vocabulary_size,), (-1,), (0,) * (info.context_length + 1)):
            with pytest.raises(InvalidRequestError):
                engine.submit_pooling(attrs.evolve(job, tokens=tokens))
        assert engine.idle

    def test_the_longest_text_is_taken(self, engine: Engine) -> None:
        """A text as long as the context has a result.

        To mend it: make the batch at least as large as the context.
        """
        job = self.job(engine)
        length = engine.info.context_length
        tokens = (job.tokens * length)[:length]
        engine.submit_pooling(attrs.evolve(job, tokens=tokens))

        assert [None] == [output.error for output in run(engine)]

    def test_other_modes_are_refused(self, engine: Engine) -> None:
        """What the engine does not say of itself it does not do.

        To mend it: raise `UnsupportedFeatureError` for modes that are not in `info.modes`.
        """
        job = self.job(engine)
        for mode in {Mode.EMBED, Mode.RERANK} - engine.info.modes:
            with pytest.raises(InvalidRequestError):
                engine.submit_pooling(attrs.evolve(job, mode=mode))
        if Mode.GENERATE not in engine.info.modes:
            with pytest.raises(InvalidRequestError):
                engine.submit(SequenceJob(1, job.tokens, DEFAULT_SAMPLING, max_tokens=1))
        assert engine.idle

    def test_a_cancelled_job_says_nothing(self, engine: Engine) -> None:
        """After `cancel` no output follows, its id is free, and unknown ids are no-ops.

        To mend it: drop the job, waiting or computed, and ignore ids that are not there.
        """
        engine.submit_pooling(self.job(engine, 1))
        engine.submit_pooling(self.job(engine, 2))
        engine.cancel(1)
        engine.cancel(12345)
        assert [2] == [output.id for output in run(engine)]

        engine.submit_pooling(self.job(engine, 1))
        engine.cancel(1)
        engine.submit_pooling(self.job(engine, 1))
        assert [1] == [output.id for output in run(engine)]

    def test_the_pipeline_makes_events_of_it(self, load: Callable[[], Engine]) -> None:
        """Behind the core's pipeline the engine answers in the documented order of events.

        To mend it: mend the tests above first: this one puts them together.
        """
        engine = load()
        if self.mode(engine) is Mode.EMBED:
            inputs = tuple(map(TextPrompt, self.texts))
            events = answer(engine, EmbedRequest("test", inputs))
            check_pooling_events(events, inputs=len(inputs))
        else:
            request = RerankRequest("test", self.texts[0], tuple(self.texts))
            check_pooling_events(answer(engine, request))

    def test_closes_with_texts_waiting(self, load: Callable[[], Engine]) -> None:
        """`close` frees everything, also before a text was read.

        To mend it: drop all jobs first, then free the model.
        """
        engine = load()
        engine.submit_pooling(self.job(engine))

        engine.close()


def _numbers(output: SequenceOutput) -> tuple[float, ...]:
    if output.embedding is not None:
        return struct.unpack(f"<{len(output.embedding) // 4}f", output.embedding)
    assert output.score is not None, f"There is neither an embedding nor a score: {output!r}."
    return (output.score,)


def _close(one: Sequence[float], other: Sequence[float]) -> bool:
    bound = TOLERANCE * max(map(abs, [*one, *other]))
    return all(abs(left - right) <= bound for left, right in zip(one, other, strict=True))
