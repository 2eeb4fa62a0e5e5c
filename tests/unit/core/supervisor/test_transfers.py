"""Transfers that several callers share."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import AsyncIterator

import pytest

from stoker.errors import OperationCancelledError, OverloadedError, StokerError, TransferError
from stoker.store import Progress, ReportProgress
from stoker.supervisor import transfers as transfers_module
from stoker.supervisor.transfers import Transfers

WAIT_S = 10


class Work:
    """A transfer that goes on step by step, as the test says."""

    def __init__(self) -> None:
        self.starts = 0
        self.ended: list[BaseException | None] = []
        self._go = threading.Semaphore(0)

    def __call__(self, progress: ReportProgress) -> str:
        self.starts += 1
        try:
            for step in range(3):
                progress(Progress("pulling", "x", step, 3))
                assert self._go.acquire(timeout=WAIT_S)
            progress(Progress("pulling", "x", 3, 3))
        except OperationCancelledError as exc:
            self.ended.append(exc)
            raise
        self.ended.append(None)
        return "done"

    def step(self, count: int = 1) -> None:
        self._go.release(count)


@pytest.fixture
async def transfers() -> AsyncIterator[Transfers]:
    made = Transfers()
    yield made
    await made.close()


@pytest.fixture
def work() -> Work:
    return Work()


async def _until_ended(work: Work, count: int = 1) -> None:
    async with asyncio.timeout(WAIT_S):
        while len(work.ended) < count:  # noqa: ASYNC110 - it is watched from outside
            await asyncio.sleep(0.01)


async def test_those_who_come_later_join(transfers: Transfers, work: Work) -> None:
    """One transfer serves all; who joins hears how far it is, and all get the result."""
    first = transfers.run("key", work)
    assert Progress("pulling", "x", 0, 3) == await anext(first)
    second = transfers.run("key", work)
    assert Progress("pulling", "x", 0, 3) == await anext(second)

    work.step(3)
    told = [[item async for item in run] for run in (first, second)]

    assert 1 == work.starts
    assert ["done", "done"] == [items[-1] for items in told]
    assert all(Progress("pulling", "x", 3, 3) == items[-2] for items in told)


async def test_it_goes_on_while_anybody_waits(transfers: Transfers, work: Work) -> None:
    """The one who began it may leave; when the last one leaves, it stops."""
    first, second = transfers.run("key", work), transfers.run("key", work)
    await anext(first)
    await anext(second)

    await first.aclose()
    work.step()
    assert Progress("pulling", "x", 1, 3) == await anext(second)
    await second.aclose()
    work.step(3)

    await _until_ended(work)
    assert [OperationCancelledError] == [type(item) for item in work.ended]


async def test_the_next_one_begins_anew(transfers: Transfers, work: Work) -> None:
    """A transfer that is being given up is not joined: its end is waited for."""
    first = transfers.run("key", work)
    await anext(first)
    await first.aclose()

    again = asyncio.create_task(_last(transfers, work))
    await asyncio.sleep(0.05)
    assert 1 == work.starts
    work.step(4)

    assert "done" == await asyncio.wait_for(again, WAIT_S)
    assert 2 == work.starts


async def _last(transfers: Transfers, work: Work) -> object:
    async with contextlib.aclosing(transfers.run("key", work)) as events:
        return [event async for event in events][-1]


async def test_other_keys_are_other_transfers(transfers: Transfers, work: Work) -> None:
    """They run beside each other."""
    runs = [transfers.run(key, work) for key in ("a", "b")]
    for run in runs:
        await anext(run)

    work.step(6)
    for run in runs:
        assert "done" == [item async for item in run][-1]
    assert 2 == work.starts


async def test_a_failure_reaches_all(transfers: Transfers) -> None:
    """Everybody who waits gets the error; the next one tries again."""

    def fail(progress: ReportProgress) -> str:
        raise TransferError("It broke off.")

    for _ in range(2):
        results = await asyncio.gather(
            *(_drain(transfers, fail) for _ in range(2)), return_exceptions=True
        )
        assert ["It broke off."] * 2 == [str(result) for result in results]


async def _drain(transfers: Transfers, work: object) -> None:
    async for _ in transfers.run("key", work):  # type: ignore[arg-type]
        pass


async def test_there_is_an_end_to_what_may_wait(
    transfers: Transfers, work: Work, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Beyond it callers hear when to come back."""
    monkeypatch.setattr(transfers_module, "MAX_KNOWN", 1)
    run = transfers.run("a", work)
    await anext(run)

    with pytest.raises(OverloadedError) as caught:
        await anext(transfers.run("b", work))

    assert caught.value.retry_after_s > 0
    await run.aclose()
    work.step(3)


async def test_closing_ends_what_runs(work: Work) -> None:
    """Whoever waits hears that it was given up."""
    transfers = Transfers()
    run = transfers.run("key", work)
    await anext(run)
    closing = asyncio.create_task(transfers.close())
    await asyncio.sleep(0)
    work.step(3)

    with pytest.raises(StokerError):
        async for _ in run:
            pass
    await asyncio.wait_for(closing, WAIT_S)
    assert [OperationCancelledError] == [type(item) for item in work.ended]
