"""Which sequences run, and what each computes."""

from __future__ import annotations

import contextlib
import itertools
import statistics
import tempfile
from array import array
from collections.abc import Callable, Iterator
from pathlib import Path

import attrs
import pytest
from cell_memory import STATE_TOKEN_BYTES, FakeCellMemory
from hypothesis import given
from hypothesis import strategies as st

from stoker.engine import SequenceJob
from stoker.sampling import DEFAULT_SAMPLING
from stoker_llama_cpp.kv_cache import HOLES_TOKENS, KVCache
from stoker_llama_cpp.pace import Pace
from stoker_llama_cpp.prefix_files import _HEAD_BYTES, PrefixFiles
from stoker_llama_cpp.saved_prefixes import SavedPrefixes
from stoker_llama_cpp.scheduler import HEADROOM_TOKENS, READS_BETWEEN_OLDEST, Chunk, Scheduler
from stoker_llama_cpp.sequence import NO_SLOT, Sequence


def sequence(
    order: int, prompt: int | tuple[int, ...], max_tokens: int = 1000, priority: int = 0
) -> Sequence:
    """A sequence with this prompt, or with one of so many tokens that no other one begins with."""
    job = SequenceJob(
        id=order,
        prompt=prompt if isinstance(prompt, tuple) else (1000 + order,) * prompt,
        sampling=DEFAULT_SAMPLING,
        max_tokens=max_tokens,
        priority=priority,
    )
    return Sequence(job, order=order)


class FixedPace:
    """A pace that tells the same numbers each time."""

    def __init__(
        self,
        *,
        beside: int = 10**6,
        alone: int = 10**6,
        crowded: int | None = None,
        apart: bool = False,
    ) -> None:
        self.apart = apart
        self._beside, self._alone = beside, alone
        self._crowded = beside if crowded is None else crowded

    def beside(self, answers: int, *, crowded: bool) -> int:
        """Beside answers."""
        return self._crowded if crowded else self._beside

    def alone(self) -> int:
        """Without any."""
        return self._alone


PLENTY = FixedPace()


class Machine:
    """A scheduler, and a memory without a model that computes what it plans.

    Attributes:
        scheduler: The scheduler.
        memory: What is in the cells.
    """

    def __init__(
        self,
        *,
        cells: int = 4096,
        max_sequences: int = 4,
        batch_size: int = 64,
        kept_slots: int = 4,
        keeps: bool = True,
        refuses: Callable[[int], bool] = lambda length: False,
        recurrent: bool = False,
        kept_tokens: int | None = None,
        saved: SavedPrefixes | None = None,
    ) -> None:
        self.memory = FakeCellMemory(cells, refuses, recurrent=recurrent)
        self.saved = saved
        self.cache = KVCache(
            self.memory,
            cells=cells,
            slots=max_sequences + kept_slots,
            keeps=keeps and not recurrent,
            kept_tokens=kept_tokens,
            saved=saved,
        )
        self.scheduler = Scheduler(self.cache, max_sequences=max_sequences, batch_size=batch_size)

    def add(self, *sequences: Sequence) -> None:
        """Put sequences into the queue."""
        for item in sequences:
            self.scheduler.add(item)

    def plan(self, pace: FixedPace = PLENTY, draft: tuple[int, ...] = ()) -> list[Chunk]:
        """Plan a step, with the same guess for all that answer, as far as there is room."""
        plan = []
        planned = self.scheduler.plan(pace)
        room = self.scheduler.room(planned)
        for chunk in planned:
            guess = array("i")
            if chunk.sequence.pending == 1:
                guess = array("i", draft[: min(room, chunk.sequence.left - 1)])
            room -= len(guess)
            plan.append(Chunk(chunk.sequence, chunk.count, guess))
        self.scheduler.reserve(plan)
        return plan

    def step(self, pace: FixedPace = PLENTY) -> list[Chunk]:
        """Plan a step and do what an engine does with the plan; every answer is 0, 0, 0, ..."""
        plan = self.plan(pace)
        self.compute(plan)
        return plan

    def compute(self, plan: list[Chunk]) -> None:
        """Compute a plan."""
        self.write(plan)
        complete = [chunk for chunk in plan if chunk.completes]
        self.scheduler.computed(plan)
        for chunk in complete:
            right = next((i for i, token in enumerate(chunk.draft) if token), len(chunk.draft))
            chunk.sequence.tokens.extend([0] * (right + 1))
            self.scheduler.verified(chunk, right)

    def write(self, plan: list[Chunk]) -> None:
        """Compute a plan, and tell nobody."""
        for chunk in plan:
            item = chunk.sequence
            tokens = item.tokens[item.in_memory : item.in_memory + chunk.count] + chunk.draft
            self.memory.compute(item.slot, tokens.tolist())

    def finish(self, *sequences: Sequence) -> None:
        """Run sequences, and take each out when it has a token."""
        self.add(*sequences)
        left = list(sequences)
        while left:
            self.step()
            for item in [item for item in left if item.generated]:
                left.remove(item)
                self.scheduler.remove(item)

    def check(self) -> None:
        """Check that everybody's memory holds their own tokens, and that all cells are counted."""
        for item in self.scheduler.sequences:
            found = [] if item.slot == NO_SLOT else self.memory.tokens(item.slot)
            assert item.tokens[: item.in_memory].tolist() == found
        assert len(self.memory.cells) == self.cache._tree.cells
        if self.saved is not None:
            states = [len(prefix.state or b"") for prefix in self.saved._prefixes.values()]
            assert sum(states) == self.saved.size_bytes <= self.saved.limit_bytes


def shares(plan: list[Chunk]) -> dict[int, int]:
    """How many tokens each sequence computes."""
    return {chunk.sequence.order: chunk.count for chunk in plan}


def test_answers_go_before_prompts() -> None:
    """A running answer has its token in every batch, and a prompt gets the rest."""
    made = Machine()
    made.add(sequence(0, 1))
    made.step()
    made.add(sequence(1, 1000))

    assert {0: 1, 1: 63} == shares(made.plan())


def test_the_shortest_prompt_is_read_first() -> None:
    """A short prompt is read at once, and of long ones one after the other."""
    made = Machine()
    for order, prompt in enumerate((1000, 10, 1000)):
        made.add(sequence(order, prompt))

    assert {0: 54, 1: 10} == shares(made.plan())


def test_a_prompt_of_more_priority_is_read_first() -> None:
    """Priority counts more than length."""
    made = Machine()
    made.add(sequence(0, 10), sequence(1, 1000, priority=1))

    assert {1: 64} == shares(made.plan())


@given(
    prompt=st.integers(65, 600),
    others=st.lists(st.tuples(st.integers(1, 64), st.integers(0, 3)), min_size=1, max_size=8),
)
def test_a_long_prompt_is_not_held_up_for_ever(prompt: int, others: list[tuple[int, int]]) -> None:
    """However many shorter prompts of more priority come, the oldest one has its share of steps."""
    made = Machine(max_sequences=2)
    first = sequence(0, prompt)
    made.add(first)
    steps = READS_BETWEEN_OLDEST * -(-prompt // 64)
    coming = itertools.cycle(others)
    for order in range(1, steps + 1):
        length, priority = next(coming)
        made.add(other := sequence(order, length, priority=priority))
        made.step()
        if first.generated:
            break
        if other in made.scheduler.sequences:
            made.scheduler.remove(other)

    assert first.generated


def test_a_crowd_and_those_that_answer_take_turns() -> None:
    """Where a step with both is dearer than two, prompts are read in every other step."""
    made = Machine(max_sequences=8)
    made.add(sequence(0, 10))
    made.step()
    made.add(sequence(1, 1000), first := sequence(2, 100))
    pace = FixedPace(beside=5, alone=50, apart=True)
    steps = [shares(made.step(pace)) for _ in range(4)]

    # Two answer then and one waits, so that is no crowd.
    assert [{2: 50}, {0: 1}, {2: 50}, {0: 1, 1: 5, 2: 1}] == steps
    assert 2 == first.generated


def test_those_who_wait_for_a_prefix_count() -> None:
    """A prompt is read in large pieces where more wait for it than answer."""
    made = Machine(max_sequences=8, batch_size=80)
    made.add(*(sequence(order, 10) for order in range(2)))
    made.step()
    pace = FixedPace(beside=5, crowded=50)
    made.add(sequence(2, PROMPT), sequence(3, PROMPT))

    assert {0: 1, 1: 1, 2: 5} == shares(made.step(pace))
    made.add(sequence(4, PROMPT))
    assert {0: 1, 1: 1, 2: 50} == shares(made.step(pace))


def test_those_who_wait_for_a_slot_do_not_count() -> None:
    """They have nothing of it when a prompt is read in large pieces."""
    made = Machine(max_sequences=3, batch_size=80)
    made.add(*(sequence(order, 10) for order in range(2)))
    made.step()
    made.add(*(sequence(order, 100) for order in range(2, 8)))

    assert {0: 1, 1: 1, 2: 5} == shares(made.step(FixedPace(beside=5, crowded=50)))


def test_the_pace_limits_prompts_beside_answers() -> None:
    """Beside answers the pace limits what is read."""
    made = Machine()
    made.add(sequence(0, 1))
    made.step()
    made.add(sequence(1, 1000))

    assert {0: 1, 1: 20} == shares(made.plan(FixedPace(beside=20)))


def test_a_long_prompt_beside_answers() -> None:
    """Steps become hardly ever twice as long, and the prompt has a good part of their time."""
    made = Machine(cells=20_000, max_sequences=5, batch_size=512)
    pace = Pace()
    made.add(*(sequence(order, 10, 5000) for order in range(4)))
    long = sequence(4, 3000)

    def step() -> tuple[float, float]:
        """What a step took on a make-believe processor, and what it had taken without a prompt."""
        plan = made.scheduler.plan(pace)
        # A token looks at all that are before it.
        taken_s = [chunk.count * (0.003 + 3e-6 * chunk.sequence.in_memory) for chunk in plan]
        reading = [not chunk.sequence.answers for chunk in plan]
        answers = sum(chunk.count for chunk in plan if chunk.sequence.answers)
        reads = sum(chunk.count for chunk in plan) - answers
        duration_s = 0.005 + sum(taken_s)
        pace.observe(answers, reads, duration_s)
        complete = [chunk.sequence for chunk in plan if chunk.completes]
        made.scheduler.computed(plan)
        for item in complete:
            item.tokens.append(0)
        return duration_s, duration_s - sum(itertools.compress(taken_s, reading))

    for _ in range(50):
        step()
    made.add(long)
    steps = []
    while not long.generated:
        steps.append(step())
    ratios = [taken_s / plain_s for taken_s, plain_s in steps]
    reading_s = sum(taken_s - plain_s for taken_s, plain_s in steps)

    assert statistics.quantiles(ratios, n=20)[-1] <= 2
    assert reading_s > 0.3 * sum(taken_s for taken_s, _ in steps)


@pytest.mark.parametrize(("alone", "read"), [(20, 20), (1000, 64)])
def test_prompts_alone(alone: int, read: int) -> None:
    """Without answers a step reads what the pace of reading says, and what a batch holds."""
    made = Machine()
    made.add(sequence(0, 1000))

    assert {0: read} == shares(made.plan(FixedPace(beside=1, alone=alone)))


def test_drafts_find_room() -> None:
    """There is room for guesses where a batch and the cells of running sequences leave it."""
    made = Machine(cells=100)
    made.finish(sequence(0, 70))
    made.add(sequence(1, 20))
    made.step()

    plan = made.plan()
    # 20 tokens are in memory, and one is computed; what is kept is no obstacle.
    assert 63 == made.scheduler.room(plan)
    made.memory.forget(0)


def test_what_was_right_of_a_draft_is_kept() -> None:
    """The right tokens of a guess stay in memory, and the wrong ones are taken out."""
    made = Machine()
    item = sequence(0, 10)
    made.add(item)
    made.step()
    made.compute(made.plan(draft=(0, 0, 7, 0)))

    assert [10 + 3, 10 + 4] == [item.in_memory, len(item.tokens)]
    made.check()


def test_more_sequences_than_slots_wait() -> None:
    """A sequence waits while all slots are taken, and gets one that becomes free."""
    made = Machine(max_sequences=2, kept_slots=0, keeps=False)
    first, second, third = (sequence(order, 2) for order in range(3))
    made.add(first, second, third)
    made.step()

    assert [0, 1, NO_SLOT] == [first.slot, second.slot, third.slot]
    made.scheduler.remove(first)
    assert [] == made.memory.tokens(0)
    made.step()
    assert 0 == third.slot


def test_nobody_overtakes() -> None:
    """A sequence that does not fit yet is not overtaken by a smaller one."""
    made = Machine(cells=512)
    for order, prompt in enumerate((300, 300, 10)):
        made.add(sequence(order, prompt))

    assert {0} == set(shares(made.plan()))


def test_larger_priority_goes_first() -> None:
    """Of those that wait, the one of the largest priority runs first."""
    made = Machine(max_sequences=1)
    made.add(sequence(0, 2))
    made.add(sequence(1, 2, priority=5))

    assert {1: 2} == shares(made.plan())


def test_headroom_is_wanted() -> None:
    """A sequence is let in only when some of its answer fits, too."""
    made = Machine(cells=200 + HEADROOM_TOKENS)
    made.add(sequence(0, 100))
    made.add(sequence(1, 100))

    assert {0} == set(shares(made.plan()))


def test_a_full_cache_puts_the_last_one_back() -> None:
    """When answers have filled the cache, the newest waits again and is computed anew later."""
    made = Machine(cells=256)
    first, second = sequence(0, 60, 196), sequence(1, 60, 196)
    made.add(first, second)
    while made.step() and second.slot != NO_SLOT:
        made.check()

    assert 0 == second.in_memory
    assert len(second.tokens) > 100
    assert 0 == first.slot
    made.scheduler.remove(first)
    kept = len(made.memory.tokens(1))
    assert kept > 60
    made.step()
    assert 1 == second.slot
    assert len(second.tokens) - 1 == second.in_memory
    made.check()


@pytest.mark.parametrize("keeps", [True, False])
def test_the_cache_holds_one_whole_sequence(keeps: bool) -> None:
    """A sequence that fills the cache ends, whatever others have left there."""
    made = Machine(cells=256, keeps=keeps)
    made.finish(*(sequence(order, 60) for order in range(4)))
    item = sequence(9, 100, 156)
    made.add(item)
    while item.generated < 156:
        made.step()
        made.check()

    assert 255 == item.in_memory


def test_removing_one_that_waits() -> None:
    """A sequence that never ran leaves the queue without a trace."""
    made = Machine()
    item = sequence(0, 5)
    made.add(item)
    made.scheduler.remove(item)

    assert made.scheduler.idle
    assert [] == made.plan()


@pytest.mark.parametrize("max_sequences", [1, 3])
def test_slots_are_distinct(max_sequences: int) -> None:
    """No two running sequences have one slot."""
    made = Machine(max_sequences=max_sequences)
    for order in range(5):
        made.add(sequence(order, 3))
    slots = [chunk.sequence.slot for chunk in made.plan()]

    assert list(range(max_sequences)) == sorted(slots)


PROMPT = tuple(range(100))


def test_the_same_prompt_again() -> None:
    """Of a prompt that was there before only the last token is computed."""
    made = Machine()
    made.finish(sequence(0, PROMPT))
    again = sequence(1, PROMPT)
    made.add(again)

    assert {1: 1} == shares(made.step())
    assert 99 == again.cached
    assert 101 == len(made.memory.cells)
    made.check()


def test_a_longer_text_goes_on_in_place() -> None:
    """A prompt that goes on from all of an ended sequence takes its slot, and no other."""
    made = Machine()
    made.finish(sequence(0, PROMPT))
    longer = sequence(1, (*PROMPT, 7, 8))
    made.add(longer)

    assert {1: 2} == shares(made.step())
    assert [0, 100] == [longer.slot, longer.cached]
    assert [] == made.memory.shared


def test_a_prefix_of_one_that_runs() -> None:
    """A sequence starts from another one that still answers, and stays when that one has gone."""
    made = Machine()
    owner, other = sequence(0, PROMPT), sequence(1, (*PROMPT[:70], 7, 8))
    made.add(owner)
    made.step()
    made.step()
    made.add(other)

    assert {0: 1, 1: 2} == shares(made.step())
    assert 70 == other.cached
    assert [(0, 1, 70)] == made.memory.shared
    made.scheduler.remove(owner)
    made.step()
    made.check()


def test_one_reads_for_all() -> None:
    """Of several with one prompt the first reads it, the others wait for it, and strangers pass."""
    made = Machine(batch_size=80)
    made.add(*(sequence(order, PROMPT) for order in range(3)), sequence(3, 5))

    assert {0: 75, 3: 5} == shares(made.step())
    assert {0: 25, 3: 1} == shares(made.step())
    assert {0: 1, 1: 1, 2: 1, 3: 1} == shares(made.step())
    made.check()


def test_waiting_goes_on_for_the_last_tokens() -> None:
    """Who waits for a prefix waits for all of it, also when the last part of it is small."""
    made = Machine(batch_size=95)
    made.add(sequence(0, PROMPT), second := sequence(1, PROMPT))

    assert [{0: 95}, {0: 5}, {0: 1, 1: 1}] == [shares(made.step()) for _ in range(3)]
    assert 99 == second.cached


def test_waiting_ends_when_the_prefix_is_there() -> None:
    """A sequence starts as soon as the common part was read, not when the whole prompt was."""
    made = Machine()
    made.add(sequence(0, (*PROMPT[:50], *range(500, 900))), sequence(1, (*PROMPT[:50], 1, 2)))

    assert {0} == set(shares(made.step()))
    assert {0: 62, 1: 2} == shares(made.step())


def test_waiting_ends_when_the_reader_is_cancelled() -> None:
    """When the one that reads for others is gone, the next one goes on from there."""
    made = Machine()
    reader, second, third = (sequence(order, PROMPT) for order in range(3))
    made.add(reader, second, third)
    made.step()
    made.scheduler.remove(reader)

    assert {1: 36} == shares(made.step())
    assert [64, NO_SLOT] == [second.cached, third.slot]
    made.step()
    assert 99 == third.cached


def test_a_few_tokens_are_not_waited_for() -> None:
    """Sequences that have little in common do not wait for each other."""
    made = Machine()
    made.add(sequence(0, (*PROMPT[:10], 7, 7)), sequence(1, (*PROMPT[:10], 8, 8)))

    assert {0: 12, 1: 12} == shares(made.step())


def test_the_least_recently_used_is_evicted_first() -> None:
    """A prefix that was used again outlives one that was not; both give up their ends first."""
    made = Machine(cells=400)
    first, second = (tuple(range(start, start + 150)) for start in (1000, 2000))
    made.finish(sequence(0, first))
    made.finish(sequence(1, second))
    made.finish(sequence(2, (*first, 1)))
    made.finish(sequence(3, 200))

    assert 151 == made.cache.find(array("i", (*first, 1))).length
    assert 0 < made.cache.find(array("i", second)).length < 150
    made.check()


def test_what_is_kept_is_no_obstacle() -> None:
    """Nobody waits or is put back for what ended sequences have left."""
    made = Machine(cells=300)
    made.finish(*(sequence(order, 70) for order in range(4)))
    made.add(*(sequence(order, 20, 30) for order in range(10, 14)))

    assert {10, 11, 12, 13} == set(shares(made.step()))


def test_a_slot_is_made_free() -> None:
    """When all slots are taken, the least recently used prefix gives up its own."""
    made = Machine(max_sequences=1, kept_slots=1)
    prompts = [tuple(range(start, start + 20)) for start in (100, 200, 300)]
    for order, prompt in enumerate(prompts):
        made.finish(sequence(order, prompt))

    assert [0, 20, 20] == [made.cache.find(array("i", prompt)).length for prompt in prompts]


def test_the_only_slot_is_cut() -> None:
    """With a single slot a prefix is used where it is."""
    made = Machine(max_sequences=1, kept_slots=0)
    made.finish(sequence(0, PROMPT))
    other = sequence(1, (*PROMPT[:40], 7))
    made.add(other)
    made.step()

    assert [0, 40] == [other.slot, other.cached]
    made.check()


def test_twins_are_kept_once() -> None:
    """What several sequences have computed alike is kept in one slot, and only there."""
    made = Machine()
    made.finish(*(sequence(order, PROMPT) for order in range(3)))

    assert 100 == len(made.memory.cells)
    made.finish(sequence(4, PROMPT[:50]))
    made.finish(sequence(5, (*PROMPT, 5)))
    assert 101 == len(made.memory.cells)
    assert 1 == sum(1 for slot in range(8) if made.memory.row(slot))


def test_nothing_is_kept_when_it_is_off() -> None:
    """Without the prefix cache everything is computed, and nothing stays."""
    made = Machine(keeps=False)
    made.add(sequence(0, 30), sequence(1, 30))
    made.finish(*(sequence(order, PROMPT) for order in (2, 3)))

    assert [] == made.memory.shared
    assert all(not made.memory.row(slot) for slot in (2, 3))


def test_memory_that_cannot_be_cut_there() -> None:
    """Where llama.cpp cannot go on from, nothing is reused."""
    made = Machine(refuses=lambda length: length == 99)
    made.finish(sequence(0, PROMPT))
    again = sequence(1, PROMPT)
    made.add(again)
    made.step()

    assert 0 == again.cached
    made.check()


def test_a_failed_plan_is_undone() -> None:
    """What a failed batch may have computed is taken out, and shared tokens stay."""
    made = Machine()
    made.finish(sequence(0, PROMPT))
    item = sequence(1, (*PROMPT, 5, 6))
    made.add(item)
    plan = made.plan()
    made.write(plan)
    made.scheduler.failed(plan)

    assert 100 == item.in_memory == len(made.memory.cells)
    made.check()


@pytest.fixture
def with_holes() -> Iterator[Callable[..., Machine]]:
    """Makes a machine of which the cache was fuller once than it has to be."""
    with contextlib.ExitStack() as opened:

        def make(saved_tokens: int) -> Machine:
            saved = SavedPrefixes(
                limit_bytes=saved_tokens * STATE_TOKEN_BYTES, exact=False, files=None
            )
            opened.callback(saved.close)
            made = Machine(cells=1000, kept_tokens=30, saved=saved)
            made.finish(sequence(0, LONG))
            made.finish(sequence(1, 20))
            return made

        yield make


LONG = tuple(range(2000, 2400))


def test_an_idle_cache_is_emptied_when_it_has_large_holes(
    with_holes: Callable[..., Machine],
) -> None:
    """The next sequence has low cells then, and what was kept comes back when it is wanted."""
    made = with_holes(saved_tokens=1000)
    assert made.cache._top - made.cache._tree.cells > HOLES_TOKENS
    made.add(sequence(2, 10))
    made.step()

    assert 10 == len(made.memory.cells) == made.cache._top
    made.check()
    again = sequence(3, LONG)
    made.add(again)
    made.step()
    assert len(LONG) - 1 == again.cached
    made.check()


def test_a_busy_cache_is_left_as_it_is(with_holes: Callable[..., Machine]) -> None:
    """While one runs, its cells stay where they are, and so do those of the others."""
    made = with_holes(saved_tokens=1000)
    made.add(sequence(2, 10))
    made.step()
    made.cache._top += 2 * HOLES_TOKENS
    made.add(sequence(3, 10))
    made.step()

    assert made.cache._top > 2 * HOLES_TOKENS
    assert 10 + 1 + 10 == len(made.memory.cells)


def test_what_cannot_be_saved_is_not_dropped(with_holes: Callable[..., Machine]) -> None:
    """Holes cost less than a lost prefix; a few tokens are none."""
    made = with_holes(saved_tokens=0)
    made.cache._top += 2 * HOLES_TOKENS
    made.add(sequence(2, 10))
    made.step()

    assert len(LONG) + 10 == len(made.memory.cells)
    assert list(LONG) == made.memory.tokens(0)
    made.check()


prompts = st.lists(st.sampled_from([(1,) * 20, (2,) * 20, (3,)]), min_size=1, max_size=8)


@attrs.frozen
class Arrival:
    """A sequence that comes, and may leave before its end."""

    prompt: tuple[int, ...]
    max_tokens: int
    priority: int
    after_steps: int
    leaves_after: int | None
    fails: bool


arrivals = st.builds(
    Arrival,
    prompt=prompts.map(lambda parts: tuple(token for part in parts for token in part)),
    max_tokens=st.integers(1, 80),
    priority=st.integers(0, 2),
    after_steps=st.integers(0, 20),
    leaves_after=st.none() | st.integers(1, 40),
    fails=st.booleans(),
)


@attrs.frozen
class Tiers:
    """What is behind the KV cache."""

    tokens: int
    piece_tokens: int
    kept_tokens: int
    exact: bool
    recurrent: bool
    file_tokens: int
    loads_fail: bool

    @contextlib.contextmanager
    def open(self, folder: Path | None) -> Iterator[SavedPrefixes]:
        """Make saved prefixes, with files if there is a folder."""
        files = None
        if folder is not None and self.file_tokens:
            limit_bytes = 3 * _HEAD_BYTES + self.file_tokens * STATE_TOKEN_BYTES
            files = PrefixFiles(folder, {}, limit_bytes=limit_bytes)
        saved = SavedPrefixes(
            limit_bytes=self.tokens * STATE_TOKEN_BYTES,
            exact=self.exact or self.recurrent,
            files=files,
            piece_bytes=self.piece_tokens * STATE_TOKEN_BYTES,
        )
        yield saved
        saved.close()


tiers = st.builds(
    Tiers,
    tokens=st.integers(40, 400),
    piece_tokens=st.sampled_from([1, 50, 1000]),
    kept_tokens=st.integers(0, 150),
    exact=st.booleans(),
    recurrent=st.booleans(),
    file_tokens=st.sampled_from([0, 0, 60, 1000]),
    loads_fail=st.booleans(),
)


@given(
    jobs=st.lists(arrivals, min_size=1, max_size=12),
    max_sequences=st.integers(1, 5),
    kept_slots=st.integers(0, 3),
    pace=st.integers(1, 100),
    apart=st.booleans(),
    draft=st.lists(st.integers(0, 1), max_size=4).map(tuple),
    keeps=st.booleans(),
    refused=st.sets(st.integers(1, 100), max_size=30),
)
def test_everybody_ends(
    *,
    jobs: list[Arrival],
    max_sequences: int,
    kept_slots: int,
    pace: int,
    apart: bool,
    draft: tuple[int, ...],
    keeps: bool,
    refused: set[int],
) -> None:
    """Whatever comes and goes, all end with their own tokens in memory, and nothing overflows."""
    made = Machine(
        cells=250,
        max_sequences=max_sequences,
        batch_size=16,
        kept_slots=kept_slots,
        keeps=keeps,
        refuses=refused.__contains__,
    )
    play(made, jobs, pace=pace, apart=apart, draft=draft)


@given(
    jobs=st.lists(arrivals, min_size=2, max_size=12),
    max_sequences=st.integers(1, 5),
    kept_slots=st.integers(0, 3),
    pace=st.integers(1, 100),
    apart=st.booleans(),
    draft=st.lists(st.integers(0, 1), max_size=4).map(tuple),
    tiers=tiers,
    lives=st.integers(1, 2),
)
def test_everybody_ends_with_tiers(
    *,
    jobs: list[Arrival],
    max_sequences: int,
    kept_slots: int,
    pace: int,
    apart: bool,
    draft: tuple[int, ...],
    tiers: Tiers,
    lives: int,
) -> None:
    """The same with saved prefixes, in memory and in files, also after a start anew."""
    with tempfile.TemporaryDirectory() as folder:
        for _ in range(lives):
            with tiers.open(Path(folder)) as saved:
                made = Machine(
                    cells=250,
                    max_sequences=max_sequences,
                    batch_size=16,
                    kept_slots=kept_slots,
                    recurrent=tiers.recurrent,
                    kept_tokens=tiers.kept_tokens,
                    saved=saved,
                )
                made.memory.loads_fail = tiers.loads_fail
                play(made, jobs, pace=pace, apart=apart, draft=() if tiers.recurrent else draft)
                made.cache.close()
            stored = sum(path.stat().st_size for path in Path(folder).rglob("*.prefix"))
            assert stored <= 3 * _HEAD_BYTES + tiers.file_tokens * STATE_TOKEN_BYTES


def play(
    made: Machine, jobs: list[Arrival], *, pace: int, apart: bool, draft: tuple[int, ...]
) -> None:
    """Let sequences come and go, and check everything after each step."""
    coming = dict(enumerate(jobs))
    here: dict[int, Sequence] = {}
    failing = {order for order, job in coming.items() if job.fails}
    for step in range(2_000):
        for order, job in list(coming.items()):
            if job.after_steps <= step:
                item = sequence(order, job.prompt, job.max_tokens, job.priority)
                here[order] = item
                made.add(item)
                del coming[order]
        if made.scheduler.idle:
            if made.cache.untidy:
                made.cache.tidy()
                made.check()
            if not coming:
                break
            continue
        plan = made.plan(FixedPace(beside=pace, alone=pace, apart=apart), draft)
        assert 0 < sum(chunk.size for chunk in plan) <= 16
        assert len(plan) <= made.scheduler._max_sequences
        if failing & {chunk.sequence.order for chunk in plan} and step % 7 == 3:
            made.write(plan)
            made.scheduler.failed(plan)
            failing.clear()
        else:
            made.compute(plan)
        made.check()
        for order, item in list(here.items()):
            job = jobs[order]
            assert item.cached < len(job.prompt)
            left = job.leaves_after is not None and step >= job.after_steps + job.leaves_after
            if left or item.generated == job.max_tokens:
                made.scheduler.remove(here.pop(order))
                made.check()

    assert {} == here
    assert {} == coming
