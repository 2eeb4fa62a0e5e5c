"""The queue in front of a runner."""

from __future__ import annotations

import asyncio
import contextlib
import math

import pytest

from stoker.engine import EngineInfo
from stoker.errors import DeadlineExceededError, OverloadedError
from stoker.request import EmbedRequest, GenerateRequest, TextPrompt, TokenizeRequest
from stoker.supervisor.request_queue import RequestQueue, Turn

ONE = GenerateRequest("m", TextPrompt("x"))
WAIT_S = 10


def _info(max_sequences: int | None) -> EngineInfo:
    return EngineInfo(context_length=10, vocabulary_size=0, max_sequences=max_sequences)


def _queue(places: int | None = None, **options: float) -> RequestQueue:
    values = {"max_waiting": 3, "wait_timeout_s": 5, **options}
    queue = RequestQueue("ai/x", **values)  # type: ignore[arg-type]
    if places is not None:
        queue.open(_info(places))
    return queue


async def _positions(queue: RequestQueue, turn: Turn, deadline_s: float = math.inf) -> list[int]:
    async with contextlib.aclosing(queue.positions(turn, deadline_s)) as positions:
        return [position async for position in positions]


async def test_the_engine_gets_one_more_than_it_runs() -> None:
    """So it has the next sequence when one ends; the rest waits outside."""
    queue = _queue(4, max_waiting=10)
    turns = [queue.enter("ann", ONE) for _ in range(8)]

    assert [True] * 5 + [False] * 3 == [turn.granted_s is not None for turn in turns]
    assert (5, tuple(turns[5:])) == (queue.running, queue.waiting)


async def test_a_free_place_is_given_to_the_next() -> None:
    """Whoever leaves lets another one in, and one that waits no more is skipped."""
    queue = _queue(1)
    first, second, third, fourth = (queue.enter("ann", ONE) for _ in range(4))
    waiting = asyncio.create_task(_positions(queue, fourth))
    await asyncio.sleep(0)
    queue.leave(third)
    queue.leave(first)

    assert [1] == await asyncio.wait_for(waiting, WAIT_S)
    assert fourth.granted_s is not None
    for turn in (second, fourth):
        queue.leave(turn)
    assert (0, ()) == (queue.running, queue.waiting)


async def test_nobody_goes_in_before_the_model_is_loaded() -> None:
    """Then all that fit go at once, by turns and not by arrival."""
    queue = _queue(max_waiting=10)
    greedy = [queue.enter("greedy", ONE) for _ in range(5)]
    ann = queue.enter("ann", ONE)
    queue.open(_info(1))

    assert {greedy[0], ann} == {turn for turn in (*greedy, ann) if turn.granted_s is not None}


async def test_a_full_queue_says_when_to_come_back() -> None:
    """The error names the setting, and carries the time."""
    queue = _queue(1)
    for _ in range(5):
        queue.enter("ann", ONE)

    with pytest.raises(OverloadedError, match=r"queue\.max_waiting") as caught:
        queue.enter("bob", ONE)
    assert 1 <= caught.value.retry_after_s <= 60


async def test_waiting_has_an_end() -> None:
    """A turn that does not come in time is an error that says so."""
    queue = _queue(1, wait_timeout_s=0.05)
    turn = [queue.enter("ann", ONE) for _ in range(3)][-1]

    with pytest.raises(OverloadedError, match=r"queue\.wait_timeout_s"):
        await asyncio.wait_for(_positions(queue, turn), WAIT_S)


async def test_a_deadline_ends_the_wait() -> None:
    """The request's own bound counts when it is the shorter one."""
    queue = _queue(1)
    turn = [queue.enter("ann", ONE) for _ in range(3)][-1]
    deadline_s = asyncio.get_running_loop().time() + 0.05

    with pytest.raises(DeadlineExceededError):
        await asyncio.wait_for(_positions(queue, turn, deadline_s), WAIT_S)


async def test_many_choices_take_many_places() -> None:
    """One that wants more than there is goes when a place is free, and others wait for it."""
    queue = _queue(2)
    large = queue.enter("ann", GenerateRequest("m", TextPrompt("x"), n=8))
    small = queue.enter("bob", ONE)

    assert (8, None) == (queue.running, small.granted_s)
    queue.leave(large)
    assert small.granted_s is not None


async def test_many_texts_to_embed_share_a_place() -> None:
    """They take turns with others inside the runner."""
    queue = _queue(1)
    queue.enter("ann", EmbedRequest("m", (TextPrompt("x"),) * 100))

    assert 1 == queue.running


async def test_what_needs_the_tokenizer_only_does_not_wait() -> None:
    """Counting tokens takes no place of the engine's, so a full queue is no reason to wait."""
    queue = _queue(1, max_waiting=1)
    for _ in range(3):
        queue.enter("ann", ONE)

    turn = queue.enter("ann", TokenizeRequest("m", TextPrompt("x")))
    assert (turn.granted_s is not None, 2) == (True, queue.running)
    queue.leave(turn)
    assert 2 == queue.running


async def test_when_the_runner_is_gone_everybody_hears_of_it() -> None:
    """Nobody waits for a model that is not there."""
    queue = _queue()
    turn = queue.enter("ann", ONE)
    queue.close()

    assert [] == await asyncio.wait_for(_positions(queue, turn), WAIT_S)
