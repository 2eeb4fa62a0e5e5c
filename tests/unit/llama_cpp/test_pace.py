"""How many tokens a step should have."""

from __future__ import annotations

import pytest

from stoker_llama_cpp.pace import (
    FIRST_READ_TOKENS,
    LEAST_READ_TOKENS,
    LEAST_TOKENS,
    LONGEST_FEW_S,
    LONGEST_READ_S,
    SLOWER,
    Pace,
)


def processor(tokens: int) -> float:
    """The time of a step where each token costs a fifth of a step with one."""
    return 0.01 * (1 + 0.2 * (tokens - 1))


def gpu(tokens: int) -> float:
    """The time of a step where tokens cost all but nothing."""
    return 0.01 * (1 + 0.002 * (tokens - 1))


@pytest.mark.parametrize(("step_s", "price"), [(processor, 0.2), (gpu, 0.002)])
def test_the_price_of_a_token_is_learned(step_s: object, price: float) -> None:
    """Steps with few and with more tokens tell what one more costs."""
    pace = learned(step_s)

    assert pytest.approx(price, rel=0.1) == pace.price
    assert pytest.approx(0.01, rel=0.1) == pace.token_s


def test_reading_lengthens_steps_by_a_limit() -> None:
    """As much is read beside answers as makes their step longer by the share that is allowed."""
    pace = learned(processor)
    reads = pace.beside(4)

    assert pytest.approx(1 + SLOWER, rel=0.15) == processor(4 + reads) / processor(4)


def test_a_crowd_that_waits_has_larger_steps() -> None:
    """Where more wait for a first token than for a next one, a step is as large as alone."""
    pace = learned(processor)

    assert FIRST_READ_TOKENS - 4 == pace.beside(4, crowded=True) > 5 * pace.beside(4)


def test_a_processor_reads_apart() -> None:
    """A read takes as long as many steps on a processor, and as a few on a GPU."""
    assert [True, False] == [learned(processor).apart, learned(gpu).apart]


def test_large_pieces_are_read_where_there_is_time_for_one() -> None:
    """Where a token of 64 takes a small part of one of a few, so many are read beside answers."""
    pace = learned(processor)
    for _ in range(20):
        pace.observe(0, 63, 63 * 0.0004)
        pace.observe(4, 8, processor(4) + 8 * 0.002)

    assert pace.beside(4) < 10
    for _ in range(20):
        pace.observe(4, 64, processor(4) + 64 * 0.0001)
    assert pytest.approx(SLOWER * processor(4) / 0.0001, rel=0.15) == pace.beside(4)


def test_more_is_read_where_it_costs_little() -> None:
    """A GPU reads many tokens in the time that the same share allows."""
    assert learned(gpu).beside(4) > 20 * learned(processor).beside(4)


def test_large_reads_count_by_their_own_speed() -> None:
    """Where long reads are slow, the price of few tokens does not make reads too long."""
    pace = learned(gpu)
    for _ in range(50):
        pace.observe(0, 512, 512 * 0.001)

    assert pytest.approx(0.01 * SLOWER / 0.001, rel=0.2) == pace.beside(1)


def test_slow_machines_get_on() -> None:
    """However much a token costs, a step reads something."""
    pace = Pace()
    for _ in range(500):
        pace.observe(1, 0, 1.0)
        pace.observe(10, 0, 10.0)

    assert LEAST_TOKENS == pace.beside(1)


def test_disturbed_steps_tell_little() -> None:
    """A step that took a hundred times too long changes the picture by the bounds only."""
    pace = learned(processor)
    pace.observe(1, 0, 1.0)

    assert pace.token_s < 0.013


@pytest.mark.parametrize(
    ("token_s", "expected"),
    [
        # Fewer than 64 tokens take longer each: only a step that is much too long has them.
        (LONGEST_FEW_S / FIRST_READ_TOKENS, [64, 64, 64, 64, 64, 64]),
        (LONGEST_FEW_S / 20, [64, 32, 16, 16, 16, 16]),
        (LONGEST_READ_S / 100, [64, 64, 64, 64, 64, 64]),
        (LONGEST_READ_S / 256, [64, 128, 128, 128, 128, 128]),
    ],
)
def test_reads_alone_take_a_bounded_time(token_s: float, expected: list[int]) -> None:
    """Reads are made shorter until one takes less than the limit, and then keep their size."""
    pace = Pace()
    sizes = []
    for _ in range(6):
        sizes.append(pace.alone())
        pace.observe(0, sizes[-1], sizes[-1] * token_s)

    assert expected == sizes
    assert FIRST_READ_TOKENS == sizes[0]
    assert LEAST_READ_TOKENS <= sizes[-1]


def test_long_reads_become_shorter_again() -> None:
    """A machine that was quick, and is busy now, reads no more at once than it should."""
    pace = Pace()
    for _ in range(4):
        pace.observe(0, pace.alone(), 0.001)
    sizes = []
    for _ in range(6):
        sizes.append(pace.alone())
        pace.observe(0, sizes[-1], sizes[-1] * LONGEST_READ_S / 100)

    assert [1024, 512, 256, 128, 64, 64] == sizes


def test_reads_stay_whole_where_half_of_one_takes_as_long() -> None:
    """While another program has a core, few tokens take as long as many, so many are read."""
    pace = Pace()
    sizes = []
    for _ in range(40):
        sizes.append(pace.alone())
        pace.observe(0, sizes[-1], 1.5)

    assert [64, 32, *[64] * 17, 32, *[64] * 17, 32] == sizes[:38]


def test_reading_that_becomes_dearer_has_fewer_tokens() -> None:
    """Far into a prompt a token takes longer: what was measured beside answers says how long."""
    pace = learned(processor)
    pieces = []
    for times in (1.0, 4.0, 1.0):
        for _ in range(40):
            reads = pace.beside(4)
            pace.observe(4, reads, processor(4) + reads * times * 0.002)
        pieces.append(pace.beside(4))

    assert [6, 1, 6] == pieces


def test_reading_leaves_the_price_alone() -> None:
    """That a prompt is dear to read says nothing of a guess, which looks at few tokens."""
    pace = learned(processor)
    price, token_s = pace.price, pace.token_s
    for _ in range(40):
        pace.observe(4, 4, 1.0)

    assert (price, token_s) == (pace.price, pace.token_s)


def test_guesses_lengthen_steps_by_the_same_limit() -> None:
    """The others wait for a guess no longer than for a prompt, and for both together neither."""
    pace = learned(processor)
    guesses = pace.guesses(4, 0)

    assert pytest.approx(1 + SLOWER, rel=0.15) == processor(4 + guesses) / processor(4)
    assert 0 == pace.guesses(4, pace.beside(4))
    assert guesses - 2 == pace.guesses(4, 2)


def test_reads_alone_grow_with_the_machine() -> None:
    """On a quick machine reads become longer, but the end of a prompt tells nothing."""
    pace = Pace()
    pace.observe(0, FIRST_READ_TOKENS - 1, 0.001)
    assert FIRST_READ_TOKENS == pace.alone()
    for _ in range(4):
        pace.observe(0, pace.alone(), 0.001)

    assert 16 * FIRST_READ_TOKENS == pace.alone()


def learned(step_s: object) -> Pace:
    """A pace that has seen many steps of a machine."""
    pace = Pace()
    assert callable(step_s)
    for _ in range(100):
        for tokens in (1, 2, 5, 16):
            pace.observe(tokens, 0, step_s(tokens))
    return pace
