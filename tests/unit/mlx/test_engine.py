"""The engine: whatever runs beside it, a sequence gets the tokens that it would get alone."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import mlx.core as mx
import numpy as np
import pytest
import tiny_mlx
from hypothesis import given, settings
from hypothesis import strategies as st
from mlx_reference import MARGIN, Reference
from player import Player

from stoker.engine import SequenceJob
from stoker.errors import InvalidRequestError, UnavailableError
from stoker.events import FinishReason
from stoker_mlx import plugin
from stoker_mlx.options import MlxOptions

QUANTISED: Any = {"kv_bits": 8, "kv_group_size": 32}
LONG = "the quick brown fox jumps over the lazy dog " * 20


@pytest.fixture(scope="session")
def reference(tiny: Path) -> Reference:
    return Reference(tiny)


@pytest.fixture(scope="session")
def windowed_reference(windowed: Path) -> Reference:
    return Reference(windowed)


@pytest.fixture(scope="session")
def shared(tiny: Path) -> Any:
    wanted = MlxOptions(context_length=512, cache_tokens=700, max_sequences=4, read_tokens=32)
    return plugin.load(tiny_mlx.bundle_of(tiny), wanted, lambda stage, fraction: None)


@pytest.fixture(scope="session")
def shared_windowed(windowed: Path) -> Any:
    wanted = MlxOptions(context_length=512, cache_tokens=700, max_sequences=4, read_tokens=32)
    return plugin.load(tiny_mlx.bundle_of(windowed), wanted, lambda stage, fraction: None)


@pytest.fixture(scope="session")
def wide_heads(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model whose heads are as wide as the groups of a quantised cache."""
    return tiny_mlx.llama(tmp_path_factory.mktemp("wide") / "llama", hidden_size=128)


@pytest.fixture(scope="session")
def quantised_reference(wide_heads: Path) -> Reference:
    return Reference(wide_heads, **QUANTISED)


@pytest.fixture(scope="session")
def shared_quantised(wide_heads: Path) -> Any:
    wanted = MlxOptions(
        context_length=512, cache_tokens=700, max_sequences=4, read_tokens=32, **QUANTISED
    )
    return plugin.load(tiny_mlx.bundle_of(wide_heads), wanted, lambda stage, fraction: None)


def play_at_random(engine: Any, seed: int) -> tuple[Player, dict[int, SequenceJob]]:
    """Let sequences arrive, and some leave, at random; gives the jobs that were not cancelled."""
    chance = random.Random(seed)
    player, jobs = Player(engine), {}
    common = tuple(chance.randrange(4, 250) for _ in range(90))
    for number in range(10):
        start = common[: chance.choice((0, 20, 60, 90))]
        rest = tuple(chance.randrange(4, 250) for _ in range(chance.randrange(1, 120)))
        jobs[number] = player.submit(number, start + rest, max_tokens=chance.randrange(1, 40))
        for _ in range(chance.randrange(6)):
            player.step()
        if chance.random() < 0.3:
            cancelled = chance.choice(list(jobs))
            if cancelled not in player.finishes():
                engine.cancel(cancelled)
                del jobs[cancelled]
    player.run()
    return player, jobs


@given(seed=st.integers(0, 2**32))
@settings(max_examples=12)
def test_company_changes_no_answer(seed: int, shared: Any, reference: Reference) -> None:
    """Whatever arrives and leaves meanwhile, each token is the best one of a fresh evaluation."""
    player, jobs = play_at_random(shared, seed)

    for number, job in jobs.items():
        tokens = player.tokens(number)
        assert job.max_tokens == len(tokens)
        assert reference.shortfall(job.prompt, tokens) <= MARGIN


@given(seed=st.integers(0, 2**32))
@settings(max_examples=12)
def test_company_changes_no_answer_of_windows(
    seed: int, shared_windowed: Any, windowed_reference: Reference
) -> None:
    """So it is for a model with sliding windows, whose caches cannot be cut back."""
    player, jobs = play_at_random(shared_windowed, seed)

    for number, job in jobs.items():
        assert windowed_reference.shortfall(job.prompt, player.tokens(number)) <= MARGIN


@given(seed=st.integers(0, 2**32))
@settings(max_examples=12)
def test_company_changes_no_answer_of_quantised_caches(
    seed: int, shared_quantised: Any, quantised_reference: Reference
) -> None:
    """So it is with few bits for each number in the cache, which are joined in batches as well."""
    player, jobs = play_at_random(shared_quantised, seed)

    for number, job in jobs.items():
        assert quantised_reference.shortfall(job.prompt, player.tokens(number)) <= MARGIN


def test_quantised_caches_are_computed_together(
    load: Callable[..., Any], wide_heads: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Sequences with quantised caches share a computation: the model is called once a step."""
    player = load(wide_heads, **QUANTISED)
    for number in range(4):
        player.submit(number, f"fox {number}", max_tokens=20)
    player.run(until=lambda: all(player.tokens(number) for number in range(4)))
    shapes: list[tuple[int, ...]] = []
    model = player.engine._batch._model

    def watched(tokens: Any, cache: Any) -> Any:
        shapes.append(tokens.shape)
        return model(tokens, cache=cache)

    monkeypatch.setattr(player.engine._batch, "_model", watched)
    player.step()

    assert [(4, 1)] == shapes


def test_a_seed_does_not_hear_the_others(load: Callable[..., Any]) -> None:
    """With a seed a sequence draws the same alone and beside others that draw as well."""
    alone, beside = load(), load()
    alone.submit(1, "the quick", temperature=1.0, seed=5, max_tokens=24)
    alone.run()
    for number in range(2, 6):
        beside.submit(number, f"over {number}", temperature=1.0, max_tokens=30)
    beside.step()
    beside.submit(1, "the quick", temperature=1.0, seed=5, max_tokens=24)
    beside.run()

    assert alone.tokens(1) == beside.tokens(1)


def test_seeds_run_side_by_side(load: Callable[..., Any]) -> None:
    """Sequences with seeds are computed in one batch, not one after the other."""
    player = load()
    for number in range(4):
        player.submit(number, "fox", temperature=1.0, seed=number, max_tokens=20)
    player.run(until=lambda: all(player.tokens(number) for number in range(4)))
    steps = len(player.outputs)
    player.step()

    assert {0, 1, 2, 3} == {output.id for output in player.outputs[steps:]}


def test_long_prompts_do_not_hold_up_answers(load: Callable[..., Any]) -> None:
    """While a prompt is read, running sequences get a token in every step."""
    player = load(context_length=2048, read_tokens=16)
    player.submit(1, "fox", max_tokens=60)
    player.run(until=lambda: player.tokens(1))
    player.submit(2, LONG, max_tokens=1)
    steps = 0
    while 2 not in player.finishes():
        outputs = player.step()
        steps += 1
        assert 1 in player.finishes() or 1 in {output.id for output in outputs}

    assert steps > 10


def test_a_short_prompt_overtakes_a_long_one(load: Callable[..., Any]) -> None:
    """A short prompt is answered before one that is much longer and came first."""
    player = load(context_length=2048, read_tokens=16)
    player.submit(1, LONG, max_tokens=1)
    player.step()
    player.submit(2, "fox", max_tokens=1)
    player.run()

    assert [2, 1] == list(player.finishes())


def test_a_prompt_can_be_cancelled_half_way(load: Callable[..., Any]) -> None:
    """Cancelling while a prompt is read takes effect at once, and what was read is kept."""
    player = load(context_length=2048, read_tokens=32)
    player.submit(1, LONG)
    player.step()
    player.step()
    player.engine.cancel(1)

    assert player.engine.idle
    assert [] == player.step()
    player.submit(2, LONG, max_tokens=1)
    player.run()
    assert player.cached(2) >= 32


def test_all_prompt_tokens_are_told(load: Callable[..., Any]) -> None:
    """Progress grows to the length of the prompt, and says what was found in the cache."""
    player = load(context_length=2048, read_tokens=64)
    job = player.submit(1, LONG, max_tokens=1)
    player.run()
    progress = [output.prefilled for output in player.outputs]
    player.submit(2, LONG, max_tokens=1)
    player.run()

    assert progress == sorted(progress)
    assert len(job.prompt) == progress[-1]
    assert len(job.prompt) - 1 == player.cached(2)


def test_choices_of_one_prompt_read_it_once(load: Callable[..., Any]) -> None:
    """Sequences that arrive together with the same prompt wait for the first to read it."""
    player = load(context_length=2048, read_tokens=64)
    for number in range(3):
        player.submit(number, LONG, max_tokens=4, temperature=1.0, seed=number)
    player.run()
    length = len(player.encode(LONG))

    assert [0, length - 1, length - 1] == [player.cached(number) for number in range(3)]


def test_what_does_not_fit_waits(load: Callable[..., Any], reference: Reference) -> None:
    """When the cache is full the newest sequence waits, and goes on where it was."""
    player = load(context_length=300, cache_tokens=300, max_sequences=3)
    jobs = [
        player.submit(number, f"{number} the lazy dog jumps", max_tokens=120) for number in range(3)
    ]
    player.run()

    assert sum(output.preemptions for output in player.outputs) > 0
    for number, job in enumerate(jobs):
        assert 120 == len(player.tokens(number))
        assert reference.shortfall(job.prompt, player.tokens(number)) <= MARGIN


def test_urgent_sequences_go_first(load: Callable[..., Any]) -> None:
    """Of those that wait, the one with the highest priority starts first."""
    player = load(max_sequences=1)
    player.submit(1, "fox", max_tokens=2)
    player.submit(2, "dog", max_tokens=2)
    player.submit(3, "cat", max_tokens=2, priority=1)
    player.run()

    assert [3, 1, 2] == list(player.finishes())


def test_end_tokens_end(load: Callable[..., Any], reference: Reference) -> None:
    """A sequence stops at an end token, which is none of its tokens."""
    player = load()
    end = player.engine.encode("</s>", add_special=False, parse_special=True)[0]
    player.submit(1, "fox", logit_bias={end: 100.0}, ignore_end=False)
    player.run()

    assert {1: FinishReason.STOP} == player.finishes()
    assert [] == player.tokens(1)


def test_logprobs_are_those_of_the_model(load: Callable[..., Any], reference: Reference) -> None:
    """Log probabilities come from the model's own logits, whatever bias the sampling has."""
    player = load()
    job = player.submit(1, "the quick", logprobs=3, max_tokens=1, logit_bias={9: 50.0})
    player.run()
    (token,) = player.outputs[-1].tokens
    logits = reference.logits(job.prompt)[-1].astype(np.float64)
    expected = logits - np.log(np.exp(logits - logits.max()).sum()) - logits.max()

    assert 9 == token.id
    assert expected[9] == pytest.approx(token.logprob, abs=1e-3)
    assert sorted(expected)[::-1][:3] == pytest.approx([item[1] for item in token.top], abs=1e-3)


def test_prompts_are_scored(load: Callable[..., Any], reference: Reference) -> None:
    """Each token of a prompt but the first gets its log probability, in pieces, once and in order.

    What others keep of the same prompt does not shorten that, and it does not hold them up.
    """
    player = load(context_length=2048, read_tokens=16)
    player.submit(1, LONG, max_tokens=1)
    player.run()
    job = player.submit(2, LONG, max_tokens=2, prompt_logprobs=2)
    player.submit(3, LONG, max_tokens=1)
    player.run()
    logits = reference.logits(job.prompt)[:-1].astype(np.float64)
    logits -= logits.max(axis=1, keepdims=True)
    expected = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
    scored = [token for item in player.outputs for token in item.prompt_logprobs]

    assert list(job.prompt[1:]) == [token.id for token in scored]
    assert expected[range(len(scored)), job.prompt[1:]] == pytest.approx(
        [token.logprob for token in scored], abs=1e-3
    )
    assert all(2 == len(token.top) for token in scored)
    assert 0 == player.cached(2) < player.cached(3)


def test_penalties_look_at_the_prompt(load: Callable[..., Any]) -> None:
    """A token that would be the best one is not, when the prompt has it and that costs."""
    player = load()
    prompt = (*player.encode("fox"), 9)
    player.submit(1, prompt, max_tokens=1, logit_bias={9: 90.0})
    player.submit(2, prompt, max_tokens=1, logit_bias={9: 90.0}, repetition_penalty=90.0)
    player.run()

    assert [9] == player.tokens(1)
    assert [9] != player.tokens(2)


def test_a_prompt_that_fails_fails_alone(
    load: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """When MLX cannot read a prompt, that sequence has the error and the others go on."""
    player = load()
    player.submit(1, "fox", max_tokens=8)
    player.run(until=lambda: player.tokens(1))
    player.submit(2, "the lazy dog", max_tokens=8)
    model = player.engine._reader._model

    def fail(tokens: Any, cache: Any) -> Any:
        raise RuntimeError("[malloc] Unable to allocate 9 bytes")

    monkeypatch.setattr(player.engine._reader, "_model", fail)
    player.step()
    monkeypatch.setattr(player.engine._reader, "_model", model)
    player.run()
    errors = {output.id: output.error for output in player.outputs if output.error}

    assert [2] == list(errors)
    assert isinstance(errors[2], UnavailableError)
    assert 8 == len(player.tokens(1))


def test_memory_comes_back(tiny: Path) -> None:
    """Closing an engine frees its arrays, those of prefixes and running sequences as well."""
    mx.clear_cache()
    before = mx.get_active_memory()
    for _ in range(3):
        engine = plugin.load(tiny_mlx.bundle_of(tiny), MlxOptions(), lambda stage, fraction: None)
        player = Player(engine)
        player.submit(1, "the quick brown fox jumps over the lazy dog", max_tokens=4)
        player.run()
        player.submit(2, "the quick brown fox", max_tokens=100)
        player.step()
        engine.close()
        del engine, player

        assert mx.get_active_memory() <= before
        assert 0 == mx.get_cache_memory()


def test_impossible_jobs_are_named(load: Callable[..., Any]) -> None:
    """What can never run is refused with the field that is wrong."""
    player = load(context_length=32)
    for prompt, values in (
        ((), {}),
        ((10_000,), {}),
        ((-1,), {}),
        ((1,) * 30, {"max_tokens": 3}),
        ((1,), {"logit_bias": {10_000: 1.0}}),
    ):
        with pytest.raises(InvalidRequestError) as caught:
            player.submit(1, prompt, **values)
        assert caught.value.param
    assert player.engine.idle
