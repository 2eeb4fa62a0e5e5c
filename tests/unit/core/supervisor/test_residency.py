from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

import psutil
import pytest

from stoker.application import LoadPlan
from stoker.errors import OperationCancelledError, UnavailableError
from stoker.events import Event, Failed, Finished, Loading, TextDelta
from stoker.host import RunnerState
from stoker.request import GenerateRequest, TextPrompt
from stoker.supervisor.residency import Residency
from stoker.supervisor.runner import ReportLoading, Runner


class Starts:
    """Starts runners and counts them."""

    def __init__(self) -> None:
        self.count = 0

    async def __call__(self, plan: LoadPlan, report: ReportLoading) -> Runner:
        self.count += 1
        return await Runner.start(plan, timeout_s=20, report=report)


@pytest.fixture
def starts() -> Starts:
    return Starts()


@pytest.fixture
async def residency(starts: Starts) -> AsyncIterator[Residency]:
    made = Residency(starts)
    yield made
    await made.close()
    assert [] == made.statuses()


async def _answer(residency: Residency, plan: LoadPlan, prompt: str = "") -> list[Event]:
    request = GenerateRequest("test/words", TextPrompt(prompt))
    return [event async for event in residency.answer(plan, request)]


async def _until_gone(residency: Residency) -> None:
    while residency.statuses():  # noqa: ASYNC110 - nothing but its absence shows the end
        await asyncio.sleep(0.02)


async def test_the_first_request_loads_and_the_next_reuses(
    residency: Residency, starts: Starts, make_plan: Any
) -> None:
    """Loading is reported to who waits for it, and happens once."""
    plan = make_plan(load="slow")

    first = await _answer(residency, plan)
    second = await _answer(residency, plan)

    stages = {event.stage for event in first if isinstance(event, Loading)}
    assert {"starting", "stirring"} <= stages
    assert not any(isinstance(event, Loading) for event in second)
    assert isinstance(first[-1], Finished)
    assert 1 == starts.count


async def test_concurrent_first_requests_share_one_load(
    residency: Residency, starts: Starts, make_plan: Any
) -> None:
    """Many clients that want a model at once cost one load."""
    plan = make_plan(load="slow")

    answers = await asyncio.gather(*(_answer(residency, plan) for _ in range(5)))

    assert all(isinstance(events[-1], Finished) for events in answers)
    assert 1 == starts.count


async def test_a_client_that_leaves_does_not_kill_a_load_others_wait_for(
    residency: Residency, starts: Starts, make_plan: Any
) -> None:
    """The load goes on as long as somebody waits."""
    plan = make_plan(load="slow")
    first = asyncio.create_task(_answer(residency, plan))
    second = asyncio.create_task(_answer(residency, plan))
    await asyncio.sleep(0.3)

    first.cancel()

    assert isinstance((await second)[-1], Finished)
    assert 1 == starts.count


async def test_a_load_that_nobody_waits_for_is_given_up(
    residency: Residency, make_plan: Any
) -> None:
    """When the last client leaves, the loading process goes too."""
    task = asyncio.create_task(_answer(residency, make_plan(load="slow")))
    await asyncio.sleep(0.3)
    assert [RunnerState.LOADING] == [status.state for status in residency.statuses()]

    task.cancel()

    await asyncio.wait_for(_until_gone(residency), 10)


async def test_an_idle_model_is_unloaded_after_its_keep_alive(
    residency: Residency, starts: Starts, make_plan: Any
) -> None:
    """The time counts from the end of the last request."""
    plan = make_plan(keep_alive_s=0.2)

    await _answer(residency, plan)
    (status,) = residency.statuses()
    assert status.expires_in_s is not None
    assert status.expires_in_s <= 0.2

    await asyncio.wait_for(_until_gone(residency), 10)
    assert isinstance((await _answer(residency, plan))[-1], Finished)
    assert 2 == starts.count


async def test_a_busy_model_is_not_unloaded_for_idleness(
    residency: Residency, make_plan: Any
) -> None:
    """A request that runs longer than the keep-alive keeps its model."""
    events = await _answer(residency, make_plan(keep_alive_s=0.05, delay_s=0.2))

    assert isinstance(events[-1], Finished)


async def test_a_failed_load_reaches_everyone_and_is_not_kept(
    residency: Residency, starts: Starts, make_plan: Any
) -> None:
    """All who waited get the engine's words; the next request tries again."""
    plan = make_plan(load="refuse")

    answers = await asyncio.gather(*(_answer(residency, plan) for _ in range(3)))

    for events in answers:
        assert isinstance(events[-1], Failed)
        assert "told to refuse" in str(events[-1].error)
    assert 1 == starts.count
    await _answer(residency, plan)
    assert 2 == starts.count


async def test_a_crashed_runner_is_replaced_by_the_next_request(
    residency: Residency, starts: Starts, make_plan: Any
) -> None:
    """After a kill the stream ends with an error, and the next request works."""
    plan = make_plan()

    crashed = await _answer(residency, plan, "kill")
    await asyncio.wait_for(_until_gone(residency), 10)
    after = await _answer(residency, plan)

    assert isinstance(crashed[-1], Failed)
    assert isinstance(after[-1], Finished)
    assert 2 == starts.count


async def test_unload_ends_the_process_and_its_requests(
    residency: Residency, make_plan: Any
) -> None:
    """Unloading is immediate; what ran inside ends with an error; nothing stays."""
    plan = make_plan()
    running = asyncio.create_task(_answer(residency, plan, "for ever"))
    while not any(status.pid for status in residency.statuses()):  # noqa: ASYNC110
        await asyncio.sleep(0.02)
    (status,) = residency.statuses()

    assert await residency.unload(plan.artifact.digest)

    assert not await residency.unload(plan.artifact.digest)
    assert not psutil.pid_exists(status.pid or 0)
    events = await running
    assert isinstance(events[-1], Failed)
    assert isinstance(events[-1].error, UnavailableError)


async def test_other_options_take_another_runner(
    residency: Residency, starts: Starts, make_plan: Any
) -> None:
    """A model that has other options by another name does not run with the first one's."""
    plan, other = make_plan(), make_plan(delay_s=0.01)

    await _answer(residency, plan)
    await _answer(residency, other)

    assert 2 == starts.count
    digest = plan.artifact.digest
    assert plan is residency.plan_of(digest, None, lambda spec: plan.options)
    assert other is residency.plan_of(digest, "faulty", lambda spec: other.options)
    assert None is residency.plan_of(digest, "other", lambda spec: plan.options)
    assert await residency.unload(digest)
    assert [] == residency.statuses()


async def test_unload_during_a_load_ends_it(residency: Residency, make_plan: Any) -> None:
    """Who waits for a load that is taken away is told so."""
    plan = make_plan(load="slow")
    waiting = asyncio.create_task(_answer(residency, plan))
    await asyncio.sleep(0.3)

    assert await residency.unload(plan.artifact.digest)

    events = await waiting
    assert isinstance(events[-1], Failed)
    assert isinstance(events[-1].error, OperationCancelledError)


async def test_a_request_during_an_unload_loads_anew(
    residency: Residency, starts: Starts, make_plan: Any
) -> None:
    """A request that comes while its model leaves waits for the end and loads it again."""
    plan = make_plan()
    await _answer(residency, plan)

    unload = asyncio.create_task(residency.unload(plan.artifact.digest))
    await asyncio.sleep(0)
    events = await _answer(residency, plan)

    await unload
    assert isinstance(events[-1], Finished)
    assert 2 == starts.count


async def test_leaving_early_cancels_and_starts_the_keep_alive(
    residency: Residency, make_plan: Any
) -> None:
    """A client that stops reading frees its place at once."""
    plan = make_plan()
    request = GenerateRequest("test/words", TextPrompt("for ever"))

    async with contextlib.aclosing(residency.answer(plan, request)) as events:
        async for event in events:
            if isinstance(event, TextDelta):
                break

    (status,) = residency.statuses()
    assert 0 == status.active_requests
    assert status.expires_in_s is not None
