"""Tests of the threads of one transfer."""

from __future__ import annotations

import threading

import pytest

from stoker.errors import OperationCancelledError, TransferError
from stoker_registry.crew import Crew

TIMEOUT_S = 10


class Blocked:
    """Something that a thread is stuck in until it is aborted."""

    def __init__(self) -> None:
        self.is_entered = threading.Event()
        self.is_aborted = threading.Event()

    def abort(self) -> None:
        """Let the thread go on."""
        self.is_aborted.set()


def watch_for_ever(crew: Crew) -> None:
    """Watch until something is raised."""
    while True:
        crew.watch()


def test_the_first_error_ends_all() -> None:
    """An error of one thread is raised where the crew is watched, and nobody works on."""
    ended = threading.Event()

    def fail() -> None:
        raise TransferError("broken")

    def work() -> None:
        try:
            while True:
                crew.sleep(TIMEOUT_S)
        except OperationCancelledError:
            ended.set()
            raise

    with Crew() as crew:
        crew.start(work, "worker")
        crew.start(fail, "failing")
        with pytest.raises(TransferError, match="broken"):
            watch_for_ever(crew)
    assert ended.is_set()


def test_a_thread_that_is_stuck_is_freed() -> None:
    """Leaving the block aborts what threads are blocked in, and waits for them."""
    stuck = Blocked()

    def work() -> None:
        with crew.blocking(stuck):
            stuck.is_entered.set()
            assert stuck.is_aborted.wait(TIMEOUT_S)

    before = threading.active_count()
    with Crew() as crew:
        crew.start(work, "worker")
        assert stuck.is_entered.wait(TIMEOUT_S)
    assert before == threading.active_count()


def test_nothing_starts_to_block_in_a_crew_that_ends() -> None:
    """Whoever comes too late to be aborted is told at once."""
    crew = Crew()
    with crew:
        pass

    with pytest.raises(OperationCancelledError), crew.blocking(Blocked()):
        pytest.fail("entered")
