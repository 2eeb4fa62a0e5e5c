"""The contract of engines (`stoker.engine.Engine`), as tests."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence

import attrs
import pytest

from stoker.engine import Engine, SequenceJob, SequenceOutput, TokenConstraint
from stoker.errors import InvalidRequestError, StokerError
from stoker.events import Finished, FinishReason, Prefill, TextDelta
from stoker.request import Constraint, ConstraintKind, GenerateRequest, TextPrompt
from stoker.sampling import DEFAULT_SAMPLING, SamplingParams
from stoker.testing.events import check_events
from stoker.testing.loaded import LoadedContract
from stoker.testing.pipeline import answer

MAX_STEPS = 2000
"""After so many steps a sequence that does not end is called stuck."""

MANY = 40
"""More sequences than engines advance at once."""

GREEDY = SamplingParams(temperature=0.0).over(DEFAULT_SAMPLING)


def run(engine: Engine, *, until: Callable[[], bool] | None = None) -> list[SequenceOutput]:
    """Step until the engine is idle (or a condition holds) and return all outputs.

    Raises:
        AssertionError: It never gets there.
    """
    outputs: list[SequenceOutput] = []
    for _ in range(MAX_STEPS):
        if engine.idle or (until is not None and until()):
            return outputs
        outputs.extend(engine.step())
    raise AssertionError(f"The engine was still busy after {MAX_STEPS} steps.")


def tokens_of(outputs: Sequence[SequenceOutput], sequence_id: int) -> list[int]:
    """The tokens of one sequence, in order."""
    return [token.id for output in outputs if output.id == sequence_id for token in output.tokens]


class Places(TokenConstraint):
    """Allows certain tokens in each place of an answer; past the last the answer is complete.

    Attributes:
        accepted: The tokens so far.
    """

    def __init__(
        self,
        *places: Iterable[int],
        vocabulary_size: int,
        complete: bool = True,
        fail_at: int = -1,
    ) -> None:
        """Say what is allowed.

        Args:
            *places: The allowed tokens of each place.
            vocabulary_size: How many tokens the engine has.
            complete: Say so after the last place.
            fail_at: The place in which making the mask fails.
        """
        self._places = [frozenset(place) for place in places]
        self._mask_bytes = -(-vocabulary_size // 32) * 4
        self._complete = complete
        self._fail_at = fail_at
        self.accepted: list[int] = []

    def mask(self) -> bytes:
        """The bits of the present place."""
        place = len(self.accepted)
        if place == self._fail_at:
            raise InvalidRequestError("The constraint became too complex.", param="constraint")
        bits = sum(1 << token for token in self._places[place])
        return bits.to_bytes(self._mask_bytes, "little")

    def accept(self, token: int) -> bool:
        """Remember the token."""
        self.accepted.append(token)
        return self._complete and len(self.accepted) == len(self._places)


class EngineContract(LoadedContract[Engine]):
    """What every `Engine` must do. Override `load`."""

    text = "The quick brown fox jumps over the lazy dog."
    """Something that the tokenizer can write and read back."""
    supports_logprobs = True
    """Unset it when the engine cannot tell probabilities and refuses to be asked."""
    logprob_margin = 0.5
    """How far log probabilities of one token may be apart, computed in batches of two shapes."""
    supports_constraints = True
    """Unset it when the engine cannot apply masks and has no `vocabulary`."""

    def job(
        self,
        engine: Engine,
        sequence_id: int = 1,
        *,
        text: str | None = None,
        max_tokens: int = 8,
        sampling: SamplingParams = GREEDY,
        ignore_end: bool = True,
        constraint: TokenConstraint | None = None,
    ) -> SequenceJob:
        """Make a job that continues the text."""
        prompt = engine.encode(text or self.text, add_special=True, parse_special=False)
        return SequenceJob(
            id=sequence_id,
            prompt=tuple(prompt),
            sampling=sampling,
            max_tokens=max_tokens,
            ignore_end=ignore_end and constraint is None,
            constraint=constraint,
        )

    def test_info_describes_the_model(self, engine: Engine) -> None:
        """`info` tells how long a sequence may be and how many tokens there are.

        To mend it: read both numbers from the model's own files, and return the same
        `EngineInfo` always.
        """
        info = engine.info

        assert info.context_length > 0
        assert info.vocabulary_size > 0

    def test_no_text_gives_no_tokens(self, engine: Engine) -> None:
        """The empty text has no tokens but special ones.

        To mend it: add special tokens only with `add_special`.
        """
        assert [] == engine.encode("", add_special=False, parse_special=False)

    def test_token_bytes_are_the_text(self, engine: Engine) -> None:
        """The bytes of a text's tokens are the text, character for character.

        Some tokenizers put a space in front of every text; one there is let through.

        To mend it: return a token's raw bytes, not text: half a character must stay half a
        character.
        """
        text = f"{self.text} Füße, 東京 and 🙂."
        tokens = engine.encode(text, add_special=False, parse_special=False)
        found = b"".join(engine.token_bytes(token) for token in tokens)

        assert text.encode() == found.removeprefix(b" ")

    def test_an_unknown_token_has_no_bytes(self, engine: Engine) -> None:
        """`token_bytes` checks its argument: C libraries often do not.

        To mend it: compare the token with the size of the vocabulary before the library
        sees it.
        """
        for token in (-1, engine.info.vocabulary_size):
            with pytest.raises(IndexError):
                engine.token_bytes(token)

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

    def test_the_vocabulary_is_complete(self, engine: Engine) -> None:
        """`vocabulary` has every token's bytes, and an end token at least.

        An engine that cannot apply masks has none.

        To mend it: list `token_bytes` of every id, and name the model's end-of-generation
        tokens.
        """
        vocabulary = engine.vocabulary()
        if not self.supports_constraints:
            assert vocabulary is None
            return
        size = engine.info.vocabulary_size

        assert vocabulary is not None
        assert size == len(vocabulary.token_bytes)
        sample = {*range(0, size, max(1, size // 500)), *range(min(size, 300)), size - 1}
        for token in sorted(sample):
            assert engine.token_bytes(token) == vocabulary.token_bytes[token]
        assert vocabulary.end_tokens
        assert all(0 <= token < size for token in vocabulary.end_tokens)
        assert all(vocabulary.token_bytes[token] == b"" for token in vocabulary.control_tokens)

    @pytest.mark.parametrize("temperature", [0.0, 1.0])
    def test_masks_are_honoured(self, engine: Engine, temperature: float) -> None:
        """Only allowed tokens are sampled, each is accepted, and the last ends the sequence.

        The others, which have no constraint, are not touched by it.

        To mend it: set the logits of forbidden tokens to minus infinity before sampling,
        and call `accept` with what was taken.
        """
        if not self.supports_constraints:
            return
        places = self._places(engine)
        constraint = Places(*places, vocabulary_size=engine.info.vocabulary_size)
        sampling = attrs.evolve(GREEDY, temperature=temperature, seed=1)
        engine.submit(self.job(engine, 1, sampling=sampling, constraint=constraint))
        engine.submit(self.job(engine, 2, max_tokens=4))
        outputs = run(engine)
        tokens = tokens_of(outputs, 1)

        assert [True] * len(places) == [
            token in place for token, place in zip(tokens, places, strict=True)
        ]
        assert constraint.accepted == tokens
        assert [FinishReason.STOP] == [item.finish for item in outputs if item.id == 1][-1:]
        assert 4 == len(tokens_of(outputs, 2))

    def test_a_limit_cuts_a_constrained_answer(self, engine: Engine) -> None:
        """An answer that is not complete at `max_tokens` ends for its length.

        To mend it: check `max_tokens` whether there is a constraint or not.
        """
        if not self.supports_constraints:
            return
        size = engine.info.vocabulary_size
        constraint = Places(*self._places(engine), vocabulary_size=size, complete=False)
        engine.submit(self.job(engine, max_tokens=2, constraint=constraint))
        outputs = run(engine)

        assert 2 == len(constraint.accepted)
        assert constraint.accepted == tokens_of(outputs, 1)
        assert FinishReason.LENGTH is outputs[-1].finish

    def test_a_mask_may_allow_the_end(self, engine: Engine) -> None:
        """Where only end tokens are allowed, the sequence stops, and they are not its tokens.

        To mend it: end the sequence by an end token and neither accept nor report it.
        """
        vocabulary = engine.vocabulary()
        if vocabulary is None:
            return
        first = self._places(engine)[0]
        size = engine.info.vocabulary_size
        constraint = Places(first, vocabulary.end_tokens, vocabulary_size=size, complete=False)
        engine.submit(self.job(engine, constraint=constraint))
        outputs = run(engine)

        assert constraint.accepted == tokens_of(outputs, 1)
        assert 1 == len(constraint.accepted)
        assert FinishReason.STOP is outputs[-1].finish

    def test_a_constraint_that_fails_fails_its_sequence_only(self, engine: Engine) -> None:
        """An error of `mask` is the sequence's error, and the others go on.

        To mend it: catch `StokerError` around `mask` and `accept`, and put it into the
        sequence's output.
        """
        if not self.supports_constraints:
            return
        size = engine.info.vocabulary_size
        constraint = Places(*self._places(engine), vocabulary_size=size, fail_at=1)
        engine.submit(self.job(engine, 1, constraint=constraint))
        engine.submit(self.job(engine, 2, max_tokens=6))
        outputs = run(engine)

        errors = [item.error for item in outputs if item.error is not None]
        assert ["The constraint became too complex."] == [str(error) for error in errors]
        assert all(isinstance(error, StokerError) for error in errors)
        assert 6 == len(tokens_of(outputs, 2))

    def _places(self, engine: Engine) -> list[set[int]]:
        """Tokens for three places that the model would hardly come to by itself."""
        texts = ("xq", "7%", "Zk")
        return [set(engine.encode(text, add_special=False, parse_special=False)) for text in texts]

    def test_an_impossible_job_is_refused(self, engine: Engine) -> None:
        """A job that can never run is refused by `submit` and leaves nothing behind.

        A token outside the vocabulary, for one, makes C libraries abort the process.

        To mend it: check the ids and the length in `submit`, before anything is stored.
        """
        job = attrs.evolve(self.job(engine), prompt=(engine.info.vocabulary_size,))

        with pytest.raises(InvalidRequestError):
            engine.submit(job)
        assert engine.idle

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

    def test_characters_come_whole(self, load: Callable[[], Engine]) -> None:
        """A character that takes several tokens reaches the client in one piece.

        To mend it: make `token_bytes` and `vocabulary` give raw bytes: the core joins them
        to characters.
        """
        if not self.supports_constraints:
            return
        text = "🙂 Füße 東京"
        constraint = Constraint(ConstraintKind.CHOICE, json.dumps([text]))
        request = GenerateRequest("test", TextPrompt(self.text), constraint=constraint)
        events = answer(load(), request)

        deltas = [event.text for event in events if isinstance(event, TextDelta)]
        assert text == "".join(deltas)
        assert "\ufffd" not in "".join(deltas)

    def test_usage_adds_up(self, load: Callable[[], Engine]) -> None:
        """The usage is what was read and made, and no time is negative.

        To mend it: let `prefilled` reach the prompt's length, and return each token once.
        """
        request = GenerateRequest("test", TextPrompt(self.text), max_tokens=5, ignore_end=True)
        events = answer(load(), request)
        last = events[-1]
        read = [event for event in events if isinstance(event, Prefill)][-1]

        assert isinstance(last, Finished)
        assert (read.total, 5) == (last.usage.prompt_tokens, last.usage.completion_tokens)
        assert read.total == read.done
        assert 0 <= last.usage.cached_tokens <= last.usage.prompt_tokens
        assert last.timings.prefill_s >= 0
        assert last.timings.decode_s >= 0

    def test_the_pipeline_makes_events_of_it(self, load: Callable[[], Engine]) -> None:
        """Behind the core's text pipeline the engine answers in the documented order of events.

        To mend it: mend the tests above first: this one puts them together.
        """
        request = GenerateRequest("test", TextPrompt(self.text), max_tokens=4, n=2, ignore_end=True)
        events = answer(load(), request)

        check_events(events, n=2)
        last = events[-1]
        assert isinstance(last, Finished)
        assert 8 == last.usage.completion_tokens

    def test_closes_with_sequences_running(self, load: Callable[[], Engine]) -> None:
        """`close` frees everything, also half-way through a sequence.

        To mend it: drop all sequences first, then free the model.
        """
        engine = load()
        engine.submit(self.job(engine, max_tokens=100))
        engine.step()

        engine.close()
