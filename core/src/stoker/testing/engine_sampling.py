"""Sampling of engines: how tokens are chosen, and how likely they were."""

from __future__ import annotations

from collections.abc import Callable

import attrs
import pytest

from stoker.engine import Engine
from stoker.errors import InvalidRequestError
from stoker.testing.engine_jobs import GREEDY, EngineTests, run, tokens_of


class EngineSampling(EngineTests):
    """How tokens are chosen, and how likely they were."""

    def test_greedy_is_repeatable(self, load: Callable[[], Engine]) -> None:
        """At temperature 0 a fresh engine says the same again.

        To mend it: take the best token at temperature 0, the one with the lowest id of
        equals; keep no state from before.
        """
        answers = []
        for _ in range(2):
            engine = load()
            engine.submit(self.job(engine))
            answers.append(tokens_of(run(engine), 1))
            engine.close()

        assert answers[0] == answers[1]

    def test_a_seed_is_repeatable(self, load: Callable[[], Engine]) -> None:
        """With the same seed a fresh engine draws the same tokens.

        To mend it: give each sequence a random generator of its own, made from its seed.
        """
        sampling = attrs.evolve(GREEDY, temperature=1.0, seed=7)
        answers = []
        for _ in range(2):
            engine = load()
            engine.submit(self.job(engine, sampling=sampling))
            answers.append(tokens_of(run(engine), 1))
            engine.close()

        assert answers[0] == answers[1]

    def test_logit_bias_bans_a_token(self, engine: Engine) -> None:
        """A token with a bias of -100 is not drawn.

        To mend it: add the bias to the logits before anything else looks at them.
        """
        engine.submit(self.job(engine, 1, max_tokens=1))
        (best,) = tokens_of(run(engine), 1)
        sampling = attrs.evolve(GREEDY, logit_bias={best: -100.0})
        engine.submit(self.job(engine, 2, max_tokens=1, sampling=sampling))

        assert [best] != tokens_of(run(engine), 2)

    def test_logprobs_come_when_asked_for(self, engine: Engine) -> None:
        """With `logprobs` each token has its own and the best ones; without it has none.

        To mend it: take them from the logits before sampling parameters; compute none when
        nobody asks.
        """
        engine.submit(self.job(engine, 1, max_tokens=3))
        plain = [token for item in run(engine) for token in item.tokens]

        assert [None] * 3 == [token.logprob for token in plain]
        job = self.job(engine, 2, max_tokens=3, sampling=attrs.evolve(GREEDY, logprobs=2))
        if not self.supports_logprobs:
            with pytest.raises(InvalidRequestError):
                engine.submit(job)
            return
        engine.submit(job)
        for token in [token for item in run(engine) for token in item.tokens]:
            assert token.logprob is not None
            assert token.logprob <= 0
            assert 2 == len(token.top)
            assert token.top[0][1] >= token.top[1][1]
            assert token.id == token.top[0][0]

    def test_prompt_logprobs_are_those_of_an_answer(self, engine: Engine) -> None:
        """What the model thinks of an answer's tokens is the same when they are in the prompt.

        Each of the prompt's tokens but the first is told once and in order, also of a prompt that
        is in memory already. Engines that do not say that they can are not asked.

        To mend it: report the logits of all prompt positions but the last, and compute those of a
        cached prefix again.
        """
        if not engine.info.prompt_logprobs:
            return
        sampling = attrs.evolve(GREEDY, logprobs=1)
        job = self.job(engine, 1, max_tokens=6, sampling=sampling)
        engine.submit(job)
        answer = [token for item in run(engine) for token in item.tokens]
        prompt = (*job.prompt, *(token.id for token in answer))
        for number in (2, 3):
            engine.submit(
                attrs.evolve(
                    job, id=number, prompt=prompt, max_tokens=1, sampling=GREEDY, prompt_logprobs=1
                )
            )
        outputs = run(engine)

        for number in (2, 3):
            told = [
                token for item in outputs if item.id == number for token in item.prompt_logprobs
            ]
            assert list(prompt[1:]) == [token.id for token in told]
            for sampled, read in zip(answer, told[-len(answer) :], strict=True):
                assert sampled.logprob is not None
                assert read.logprob is not None
                assert abs(sampled.logprob - read.logprob) < self.logprob_margin
                assert 1 == len(read.top)
