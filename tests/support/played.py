"""What players tell of their jobs, and jobs at random."""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable, Sequence
from typing import Any

from scoring import margins

from stoker.engine import SequenceJob


def cached(player: Any, sequence_id: int) -> int:
    """How many tokens of its prompt a sequence said to have reused."""
    first, *later = [item for item in player.outputs if item.id == sequence_id]
    assert all(item.cached == 0 for item in later)
    return int(first.cached)


def computed(player: Any) -> list[int]:
    """How many tokens each of the next steps computes; filled while the player runs."""
    counts: list[int] = []
    plan = player.engine._scheduler.plan

    def count(pace: Callable[[], int]) -> Any:
        chunks = plan(pace)
        counts.append(sum(chunk.count for chunk in chunks))
        return chunks

    player.engine._scheduler.plan = count
    return counts


def common(first: tuple[int, ...], second: tuple[int, ...]) -> int:
    """How many tokens two prompts begin with in common."""
    pairs = zip(first, second, strict=False)
    return len(list(itertools.takewhile(lambda pair: pair[0] == pair[1], pairs)))


def worst(player: Any, *jobs: Any) -> float:
    """How much worse than the best one any token of some answers scores, in a fresh evaluation."""
    model = player.engine._model.handle
    return max(
        margin for job in jobs for margin in margins(model, job.prompt, player.tokens(job.id))
    )


def play_at_random(
    player: Any,
    dice: random.Random,
    parts: Sequence[str],
    *,
    jobs: int = 14,
    shortest: int = 1,
    longest: int = 300,
) -> tuple[list[SequenceJob], set[int]]:
    """Let jobs come and go at random; their prompts often begin alike.

    Args:
        player: Plays them.
        dice: Decides.
        parts: Prompts are made of these, and of what was answered before.
        jobs: How many.
        shortest: Fewest tokens of a prompt, if it has so many.
        longest: Most tokens of a prompt.

    Returns:
        The jobs, and the ids of those that were cancelled.
    """
    submitted: list[SequenceJob] = []
    cancelled: set[int] = set()
    for i in range(jobs):
        prompt = player.encode("".join(dice.choices(parts, k=dice.randint(1, 3))))
        if submitted and dice.random() < 0.3:
            other = dice.choice(submitted)
            prompt = (*other.prompt, *player.tokens(other.id))
        prompt = prompt[: dice.randint(shortest, longest)]
        submitted.append(player.submit(i, prompt, max_tokens=dice.randint(1, 60)))
        for _ in range(dice.randint(0, 12)):
            player.step()
        if dice.random() < 0.2:
            job = dice.choice(submitted)
            player.engine.cancel(job.id)
            cancelled.add(job.id)
        # Now and then there is nothing to do but to tidy up.
        if dice.random() < 0.2:
            player.run()
    player.run()
    return submitted, cancelled
