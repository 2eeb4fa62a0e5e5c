"""The prefix cache, with a real model."""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable
from typing import Any

import pytest
from played import cached, common, computed, play_at_random, worst
from scoring import NEAR_TIE

pytestmark = pytest.mark.model

SYSTEM = "<|im_start|>system\nYou are a patient librarian who answers in one sentence." + (
    " You like short words, old maps and quiet rooms." * 6
)
QUESTIONS = (
    "<|im_end|>\n<|im_start|>user\nWhere are the atlases?<|im_end|>\n<|im_start|>assistant\n",
    "<|im_end|>\n<|im_start|>user\nWho wrote Faust?<|im_end|>\n<|im_start|>assistant\n",
    "<|im_end|>\n<|im_start|>user\nIs it open today?<|im_end|>\n<|im_start|>assistant\n",
)
ENDING = " And so on, and on."
STORY = "Once upon a time there was a small town by the sea, and in that town lived a baker"


def test_the_same_prompt_again(load: Callable[..., Any]) -> None:
    """Of a prompt that was answered before, all but the last token is reused."""
    player = load(context_length=512)
    jobs = []
    for i in range(2):
        jobs.append(player.submit(i, STORY, max_tokens=24))
        player.run()

    assert 0 == cached(player, 0)
    assert len(jobs[1].prompt) - 1 == cached(player, 1)
    assert len(jobs[1].prompt) == player.outputs[-24].prefilled
    assert worst(player, *jobs) <= NEAR_TIE


def test_a_conversation_goes_on(load: Callable[..., Any]) -> None:
    """The next turn of a conversation reuses the last one's answer, too."""
    player = load(context_length=512)
    first = player.submit(0, SYSTEM + QUESTIONS[0], max_tokens=16)
    player.run()
    # The last token that was sampled was never computed.
    known = (*first.prompt, *player.tokens(0)[:-1])
    second = player.submit(1, known + player.encode(QUESTIONS[1]), max_tokens=16)
    player.run()

    assert len(known) == cached(player, 1)
    assert worst(player, first, second) <= NEAR_TIE


def test_a_shared_system_prompt(load: Callable[..., Any]) -> None:
    """Prompts that begin alike reuse that part, while its owner answers, and when it has left."""
    player = load(context_length=512)
    jobs = [player.submit(0, SYSTEM + QUESTIONS[0], max_tokens=40)]
    player.run(until=lambda: len(player.tokens(0)) > 4)
    jobs.append(player.submit(1, SYSTEM + QUESTIONS[1], max_tokens=40))
    player.run(until=lambda: len(player.tokens(1)) > 4)
    player.engine.cancel(0)
    jobs.append(player.submit(2, SYSTEM + QUESTIONS[2], max_tokens=40))
    player.run()
    alike = common(jobs[0].prompt, jobs[1].prompt)

    assert alike > 60
    assert alike == cached(player, 1)
    assert max(common(jobs[2].prompt, job.prompt) for job in jobs[:2]) == cached(player, 2)
    assert worst(player, *jobs) <= NEAR_TIE


def test_choices_read_the_prompt_once(load: Callable[..., Any]) -> None:
    """Of three choices of one request the first reads the prompt and the others start from it."""
    player = load(context_length=512)
    counts = computed(player)
    jobs = [player.submit(i, SYSTEM + QUESTIONS[0], max_tokens=12) for i in range(3)]
    player.run()
    length = len(jobs[0].prompt)

    assert [0, length - 1, length - 1] == [cached(player, i) for i in range(3)]
    # Each choice computes all of its answer but the last token.
    assert length + 2 + 3 * 11 == sum(counts)
    assert worst(player, *jobs) <= NEAR_TIE


def test_the_owner_is_cancelled_while_others_wait(load: Callable[..., Any]) -> None:
    """When the choice that reads the prompt is cancelled, the next one goes on where it was."""
    player = load(context_length=512, batch_size=64)
    prompt = player.encode("All work and no play makes Jack a dull boy. " * 12)
    jobs = [player.submit(i, prompt, max_tokens=4) for i in range(2)]
    player.step()
    (reader, waiter) = player.engine._scheduler.sequences
    read = reader.in_memory
    player.engine.cancel(reader.job.id)
    player.run()

    assert 0 == reader.job.id
    assert 0 < read < len(prompt) - 1
    assert read == cached(player, waiter.job.id)
    assert worst(player, jobs[1]) <= NEAR_TIE


def test_prefixes_are_evicted_before_anyone_waits(load: Callable[..., Any]) -> None:
    """Old prefixes leave a full cache, the least recently used first, and nobody is put back."""
    player = load(context_length=256, max_sequences=2, prefix_ram_bytes=0)
    texts = [SYSTEM[start:] for start in (0, 3, 7, 12)]
    ids = itertools.count()
    jobs = []
    for text in texts:
        jobs.append(player.submit(next(ids), text, max_tokens=20))
        player.run()
    again = player.submit(next(ids), texts[-1], max_tokens=20)
    player.run()
    forgotten = player.submit(next(ids), texts[0], max_tokens=20)
    player.run()

    assert sum(len(job.prompt) + 20 for job in jobs) > 256
    assert len(again.prompt) - 1 == cached(player, again.id)
    assert cached(player, forgotten.id) < len(forgotten.prompt) // 2
    assert worst(player, *jobs, again, forgotten) <= NEAR_TIE


def test_one_that_was_put_back_reuses_its_own(load: Callable[..., Any]) -> None:
    """A sequence that gave up its cells finds what is left of them, and does not call it cached."""
    player = load(context_length=256, max_sequences=2, prefix_ram_bytes=0)
    counts = computed(player)
    jobs = [player.submit(i, f"{i} {STORY}", max_tokens=150) for i in range(2)]
    player.run()
    prompts = sum(len(job.prompt) for job in jobs)

    assert [0, 0] == [cached(player, i) for i in range(2)]
    assert prompts + 2 * 149 < sum(counts) < prompts + 3 * 149
    assert worst(player, *jobs) <= NEAR_TIE


def test_it_can_be_switched_off(load: Callable[..., Any]) -> None:
    """Without the prefix cache every prompt is read as a whole."""
    player = load(context_length=512, prefix_cache=False)
    for i in range(2):
        player.submit(i, STORY, max_tokens=2)
    player.run()
    player.submit(2, STORY, max_tokens=2)
    player.run()

    assert [0, 0, 0] == [cached(player, i) for i in range(3)]


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(2))
def test_random_arrivals_and_cancels(load: Callable[..., Any], seed: int) -> None:
    """Whatever comes and goes, each greedy token is the best one but for near-ties."""
    player = load(
        context_length=512, cache_tokens=768, max_sequences=4, batch_size=64, prefix_ram_bytes=0
    )
    jobs, cancelled = play_at_random(
        player, random.Random(seed), [SYSTEM, STORY, *QUESTIONS, ENDING]
    )
    answered = [job for job in jobs if player.tokens(job.id)]

    assert all(
        len(player.tokens(job.id)) == job.max_tokens for job in jobs if job.id not in cancelled
    )
    assert len(answered) > 8
    assert sum(cached(player, job.id) for job in answered) > 100
    assert worst(player, *answered) <= NEAR_TIE
