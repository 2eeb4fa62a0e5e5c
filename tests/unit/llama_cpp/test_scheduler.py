"""Which sequences run, and what each computes."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stoker.engine import SequenceJob
from stoker.sampling import DEFAULT_SAMPLING
from stoker_llama_cpp.scheduler import HEADROOM_TOKENS, Chunk, Scheduler
from stoker_llama_cpp.sequence import NO_SLOT, Sequence


def sequence(order: int, prompt: int, max_tokens: int = 1000, priority: int = 0) -> Sequence:
    """A sequence with so many tokens of prompt."""
    job = SequenceJob(
        id=order,
        prompt=tuple(range(prompt)),
        sampling=DEFAULT_SAMPLING,
        max_tokens=max_tokens,
        priority=priority,
    )
    return Sequence(job, order=order, greedy=True)


def scheduler(
    *, cells: int = 4096, max_sequences: int = 4, batch_size: int = 64
) -> tuple[Scheduler, list[int]]:
    """A scheduler, and the slots that it emptied."""
    forgotten: list[int] = []
    made = Scheduler(
        cells=cells,
        max_sequences=max_sequences,
        batch_size=batch_size,
        forget=forgotten.append,
    )
    return made, forgotten


def compute(plan: list[Chunk]) -> None:
    """Do what an engine does with a plan."""
    for chunk in plan:
        completes = chunk.completes
        chunk.sequence.in_memory += chunk.count
        if completes:
            chunk.sequence.tokens.append(0)


def shares(plan: list[Chunk]) -> dict[int, int]:
    """How many tokens each sequence computes."""
    return {chunk.sequence.order: chunk.count for chunk in plan}


def plenty() -> int:
    """A pace without limits."""
    return 10**6


def test_answers_go_before_prompts() -> None:
    """A running answer has its token in every batch, and a prompt gets the rest."""
    made, _ = scheduler()
    made.add(sequence(0, 1))
    compute(made.plan(plenty))
    made.add(sequence(1, 1000))

    assert {0: 1, 1: 63} == shares(made.plan(plenty))


def test_prompts_share_what_is_left() -> None:
    """A short prompt is read at once, and long ones get equal shares of the rest."""
    made, _ = scheduler()
    for order, prompt in enumerate((1000, 10, 1000)):
        made.add(sequence(order, prompt))

    assert {0: 27, 1: 10, 2: 27} == shares(made.plan(plenty))


def test_the_pace_limits_prompts_beside_answers() -> None:
    """Beside answers the pace limits what is read."""
    made, _ = scheduler()
    made.add(sequence(0, 1))
    compute(made.plan(plenty))
    made.add(sequence(1, 1000))

    assert {0: 1, 1: 20} == shares(made.plan(lambda: 20))


def test_prompts_alone_fill_the_batch() -> None:
    """Without answers the pace is not asked: a prompt is always split in the same way."""
    made, _ = scheduler()
    made.add(sequence(0, 1000))

    assert {0: 64} == shares(made.plan(lambda: 20))


def test_more_sequences_than_slots_wait() -> None:
    """A sequence waits while all slots are taken, and gets one that becomes free."""
    made, forgotten = scheduler(max_sequences=2)
    first, second, third = (sequence(order, 2) for order in range(3))
    for item in (first, second, third):
        made.add(item)
    compute(made.plan(plenty))

    assert [0, 1, NO_SLOT] == [first.slot, second.slot, third.slot]
    made.remove(first)
    compute(made.plan(plenty))
    assert [0] == forgotten
    assert 0 == third.slot


def test_nobody_overtakes() -> None:
    """A sequence that does not fit yet is not overtaken by a smaller one."""
    made, _ = scheduler(cells=512)
    for order, prompt in enumerate((300, 300, 10)):
        made.add(sequence(order, prompt))

    assert {0} == set(shares(made.plan(plenty)))


def test_larger_priority_goes_first() -> None:
    """Of those that wait, the one of the largest priority runs first."""
    made, _ = scheduler(max_sequences=1)
    made.add(sequence(0, 2))
    made.add(sequence(1, 2, priority=5))

    assert {1: 2} == shares(made.plan(plenty))


def test_headroom_is_wanted() -> None:
    """A sequence is let in only when some of its answer fits, too."""
    made, _ = scheduler(cells=200 + HEADROOM_TOKENS)
    made.add(sequence(0, 100))
    made.add(sequence(1, 100))

    assert {0} == set(shares(made.plan(plenty)))


def test_a_full_cache_puts_the_last_one_back() -> None:
    """When answers have filled the cache, the newest waits again and is computed anew later."""
    made, forgotten = scheduler(cells=256)
    first, second = sequence(0, 60, 196), sequence(1, 60, 196)
    made.add(first)
    made.add(second)
    while second.slot != NO_SLOT or not second.in_memory:
        compute(made.plan(plenty))
        if forgotten:
            break

    assert [1] == forgotten
    assert 0 == second.in_memory
    assert len(second.tokens) > 100
    made.remove(first)
    assert {1: 64} == shares(made.plan(plenty))


def test_removing_one_that_waits() -> None:
    """A sequence that never ran leaves the queue without a trace."""
    made, forgotten = scheduler()
    item = sequence(0, 5)
    made.add(item)
    made.remove(item)

    assert made.idle
    assert [] == forgotten
    assert [] == made.plan(plenty)


@settings(deadline=None, max_examples=100)
@given(
    jobs=st.lists(
        st.tuples(st.integers(1, 200), st.integers(1, 100), st.integers(0, 2)),
        min_size=1,
        max_size=12,
    ),
    slots=st.integers(1, 5),
    pace=st.integers(1, 100),
)
def test_everybody_ends(jobs: list[tuple[int, int, int]], slots: int, pace: int) -> None:
    """Whatever comes, all end, and neither the cache, the batch nor the slots overflow."""
    made, _ = scheduler(cells=300, max_sequences=slots, batch_size=16)
    left = {order: sequence(order, *job) for order, job in enumerate(jobs)}
    for item in left.values():
        made.add(item)
    for _ in range(20_000):
        if made.idle:
            break
        plan = made.plan(lambda: pace)
        assert 0 < sum(chunk.count for chunk in plan) <= 16
        assert len(plan) <= slots
        compute(plan)
        assert sum(item.in_memory for item in left.values()) <= 300
        for order, item in list(left.items()):
            if item.generated == item.job.max_tokens:
                made.remove(left.pop(order))

    assert {} == left


@pytest.mark.parametrize("max_sequences", [1, 3])
def test_slots_are_distinct(max_sequences: int) -> None:
    """No two running sequences have one slot."""
    made, _ = scheduler(max_sequences=max_sequences)
    for order in range(5):
        made.add(sequence(order, 3))
    slots = [chunk.sequence.slot for chunk in made.plan(plenty)]

    assert list(range(max_sequences)) == sorted(slots)
