"""The queue of texts that engines read as a whole."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from stoker.engine import EngineInfo, Mode, PoolingJob
from stoker.errors import InvalidRequestError, UnsupportedFeatureError
from stoker.pooling_queue import PoolingQueue

INFO = EngineInfo(context_length=8, vocabulary_size=10, modes=frozenset({Mode.EMBED}))


def job(id_: int, size: int = 1, *, turn: int = 0, priority: int = 0) -> PoolingJob:
    """A text of so many tokens."""
    return PoolingJob(id_, Mode.EMBED, (3,) * size, turn=turn, priority=priority)


def at_most(tokens: int, jobs: Sequence[PoolingJob]) -> bool:
    """Whether texts have no more tokens together."""
    return sum(len(text.tokens) for text in jobs) <= tokens


def queue_of(*jobs: PoolingJob) -> PoolingQueue:
    """A queue with these texts."""
    queue = PoolingQueue(INFO)
    for text in jobs:
        queue.add(text)
    return queue


def test_texts_go_by_priority_then_turn_then_arrival() -> None:
    """So a request with a thousand texts does not hold up one with a single text."""
    queue = queue_of(job(1, turn=1), job(2), job(3), job(4, turn=5, priority=1))

    taken = queue.take(10, lambda _: True)

    assert [4, 2, 3, 1] == [text.id for text in taken]
    assert 0 == len(queue)


def test_a_batch_takes_what_fits_and_at_least_one() -> None:
    """A text that is too long for a batch of several is computed by itself."""
    queue = queue_of(job(1, 8), job(2, 2), job(3, 2), job(4, 2))

    batches = [[text.id for text in queue.take(10, lambda jobs: at_most(5, jobs))] for _ in "123"]

    assert [[1], [2, 3], [4]] == batches


def test_a_cancelled_text_is_not_taken_though_its_id_is_in_use_again() -> None:
    """The later text with the id has its own place in the queue."""
    queue = queue_of(job(1), job(2))

    queue.cancel(1)
    queue.cancel(7)
    queue.add(job(1, 2))

    assert [(2, 1), (1, 2)] == [
        (text.id, len(text.tokens)) for text in queue.take(9, lambda _: True)
    ]


@pytest.mark.parametrize(
    ("wrong", "error"),
    [
        (job(1), InvalidRequestError),
        (job(2, 0), InvalidRequestError),
        (job(2, 9), InvalidRequestError),
        (PoolingJob(2, Mode.EMBED, (10,)), InvalidRequestError),
        (PoolingJob(2, Mode.EMBED, (-1,)), InvalidRequestError),
        (PoolingJob(2, Mode.RERANK, (1,)), UnsupportedFeatureError),
    ],
    ids=["id in use", "no tokens", "too many", "beyond the vocabulary", "negative", "other mode"],
)
def test_a_text_that_cannot_be_read_is_refused(
    wrong: PoolingJob, error: type[InvalidRequestError]
) -> None:
    """Before it costs anything, and what waits is not disturbed."""
    queue = queue_of(job(1))

    with pytest.raises(error):
        queue.add(wrong)

    assert 1 == len(queue)
