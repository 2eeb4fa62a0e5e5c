from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import psutil
import pytest

from stoker.application import LoadPlan
from stoker.caller import LOCAL, Caller, RequestContext, Scope
from stoker.errors import (
    DeadlineExceededError,
    InsufficientMemoryError,
    LoadError,
    OperationCancelledError,
    OutOfMemoryError,
    OverloadedError,
    StokerError,
    UnavailableError,
)
from stoker.events import Event, Failed, Finished, Loading, Queued, TextDelta
from stoker.host import RunnerState
from stoker.request import GenerateRequest, TextPrompt
from stoker.supervisor.residency import Residency
from stoker.supervisor.runner import ReportLoading, Runner
from stoker.supervisor.trace import Trace

CONTEXT = RequestContext(LOCAL)


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
    return [event async for event in residency.answer(plan, request, Trace(CONTEXT))]


def _asked(
    residency: Residency, plan: LoadPlan, prompt: str = ""
) -> tuple[asyncio.Task[None], list[Event]]:
    """A request under way, and the events that have come so far."""
    events: list[Event] = []

    async def read() -> None:
        request = GenerateRequest("test/words", TextPrompt(prompt))
        async for event in residency.answer(plan, request, Trace(CONTEXT)):
            events.append(event)  # noqa: PERF401 - they are looked at while more come

    return asyncio.create_task(read()), events


async def _until(holds: Callable[[], object]) -> None:
    """Wait for what no event tells."""
    async with asyncio.timeout(20):
        while not holds():  # noqa: ASYNC110 - see above
            await asyncio.sleep(0.005)


async def _until_gone(residency: Residency) -> None:
    await _until(lambda: not residency.statuses())


def _stirs(events: list[Event]) -> bool:
    """Whether the engine itself has begun to load."""
    return any(isinstance(event, Loading) and event.stage == "stirring" for event in events)


def _speaks(events: list[Event]) -> bool:
    """Whether the answer has begun."""
    return any(isinstance(event, TextDelta) for event in events)


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
    first, seen = _asked(residency, plan)
    second, events = _asked(residency, plan)
    await _until(lambda: _stirs(seen))

    first.cancel()
    await second

    assert isinstance(events[-1], Finished)
    assert 1 == starts.count


async def test_a_load_that_nobody_waits_for_is_given_up(
    residency: Residency, make_plan: Any
) -> None:
    """When the last client leaves, the loading process goes too."""
    task, events = _asked(residency, make_plan(load="slow"))
    await _until(lambda: _stirs(events))
    assert [RunnerState.LOADING] == [status.state for status in residency.statuses()]

    task.cancel()

    await _until_gone(residency)


async def test_an_idle_model_is_unloaded_after_its_keep_alive(
    residency: Residency, starts: Starts, make_plan: Any
) -> None:
    """The time counts from the end of the last request."""
    plan = make_plan(keep_alive_s=0.2)

    await _answer(residency, plan)
    (status,) = residency.statuses()
    assert status.expires_in_s is not None
    assert status.expires_in_s <= 0.2

    await _until_gone(residency)
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
    await _until_gone(residency)
    after = await _answer(residency, plan)

    assert isinstance(crashed[-1], Failed)
    assert isinstance(after[-1], Finished)
    assert 2 == starts.count


async def test_unload_ends_the_process_and_its_requests(
    residency: Residency, make_plan: Any
) -> None:
    """Unloading is immediate; what ran inside ends with an error; nothing stays."""
    plan = make_plan()
    running, events = _asked(residency, plan, "for ever")
    await _until(lambda: _speaks(events))
    (status,) = residency.statuses()

    assert await residency.unload(plan.artifact.digest)

    assert not await residency.unload(plan.artifact.digest)
    assert not psutil.pid_exists(status.pid or 0)
    await running
    assert isinstance(_error(events), UnavailableError)


async def test_other_options_take_another_runner(
    residency: Residency, starts: Starts, make_plan: Any
) -> None:
    """A model that has other options by another name does not run with the first one's."""
    plan, other = make_plan(), make_plan(name="test/other", delay_s=0.01)

    await _answer(residency, plan)
    await _answer(residency, other)

    assert 2 == starts.count
    assert plan is residency.plan_of(plan.artifact, None)
    assert other is residency.plan_of(other.artifact, None)
    assert None is residency.plan_of(plan.artifact, "faulty")
    assert await residency.unload(plan.artifact.digest)
    assert [] == residency.statuses()


async def test_unload_during_a_load_ends_it(residency: Residency, make_plan: Any) -> None:
    """Who waits for a load that is taken away is told so."""
    plan = make_plan(load="slow")
    waiting, events = _asked(residency, plan)
    await _until(lambda: _stirs(events))

    assert await residency.unload(plan.artifact.digest)

    await waiting
    assert isinstance(_error(events), OperationCancelledError)


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

    async with contextlib.aclosing(residency.answer(plan, request, Trace(CONTEXT))) as events:
        async for event in events:
            if isinstance(event, TextDelta):
                break

    (status,) = residency.statuses()
    assert 0 == status.active_requests
    assert status.expires_in_s is not None


def _loaded(residency: Residency) -> list[str]:
    return [status.model for status in residency.statuses()]


def _error(events: list[Event]) -> StokerError:
    assert isinstance(events[-1], Failed)
    return events[-1].error


def _many(make_plan: Any, *names: str, **options: Any) -> list[LoadPlan]:
    """Plans of different models, two of which fit at once."""
    return [
        make_plan(name, name=f"test/{name}", need_bytes=10, budget_bytes=25, **options)
        for name in names
    ]


async def _busy(residency: Residency, *plans: LoadPlan) -> list[asyncio.Task[None]]:
    """Models that answer and do not come to an end."""
    asked = [_asked(residency, plan, "for ever") for plan in plans]
    await _until(lambda: all(_speaks(events) for _, events in asked))
    return [task for task, _ in asked]


async def test_an_idle_model_makes_room(residency: Residency, make_plan: Any) -> None:
    """The one that was idle longest is unloaded for a third one, and nobody notices."""
    plans = _many(make_plan, "a", "b", "c")

    answers = [await _answer(residency, plan) for plan in plans]

    assert all(isinstance(events[-1], Finished) for events in answers)
    assert ["test/b", "test/c"] == _loaded(residency)


async def test_a_pinned_model_stays(residency: Residency, make_plan: Any) -> None:
    """Neither another model's need nor idleness unloads it."""
    (pinned,) = _many(make_plan, "a", pin=True, keep_alive_s=0.0)
    plans = _many(make_plan, "b", "c")

    for plan in (pinned, *plans):
        await _answer(residency, plan)

    assert ["test/a", "test/c"] == _loaded(residency)
    assert residency.statuses()[0].pinned


async def test_a_request_waits_for_memory_that_is_busy(
    residency: Residency, make_plan: Any
) -> None:
    """It is told that it waits, and gets its turn when a busy model has answered."""
    busy = await _busy(residency, *_many(make_plan, "a", "b"))
    waiting, events = _asked(residency, *_many(make_plan, "c"))
    await _until(lambda: Loading("waiting for memory") in events)

    busy[0].cancel()
    await waiting

    assert isinstance(events[-1], Finished)
    assert ["test/b", "test/c"] == _loaded(residency)
    busy[1].cancel()


async def test_waiting_for_memory_is_bounded(starts: Starts, make_plan: Any) -> None:
    """When busy models keep their memory, the request is refused, with a time to come back."""
    residency = Residency(starts, wait_timeout_s=0.3)
    running = await _busy(residency, *_many(make_plan, "a", "b"))

    error = _error(await _answer(residency, *_many(make_plan, "c")))

    assert isinstance(error, OverloadedError)
    assert error.retry_after_s > 0
    assert ["test/a", "test/b"] == _loaded(residency)
    await residency.close()
    await asyncio.gather(*running)


async def test_the_line_goes_by_priority(residency: Residency, make_plan: Any) -> None:
    """Of those that wait, the most important one is loaded first."""
    running = await _busy(residency, *_many(make_plan, "a", "b"))
    ended: list[str] = []
    asked = []
    for name, priority in (("low", 0), ("high", 1)):
        task, events = _asked(residency, *_many(make_plan, name, priority=priority))
        task.add_done_callback(lambda _task, name=name: ended.append(name))
        await _until(lambda events=events: Loading("waiting for memory") in events)
        asked.append(task)

    running[0].cancel()
    await asyncio.gather(*asked)

    assert ["high", "low"] == ended
    running[1].cancel()


async def test_what_never_fits_is_refused_at_once(
    residency: Residency, starts: Starts, make_plan: Any
) -> None:
    """No process is started and nobody is evicted for it."""
    await _answer(residency, *_many(make_plan, "a"))
    large = make_plan("large", name="test/large", need_bytes=26, budget_bytes=25)

    error = _error(await _answer(residency, large))

    assert isinstance(error, InsufficientMemoryError)
    assert (26, 25) == (error.needed_bytes, error.budget_bytes)
    assert ["test/a"] == _loaded(residency)
    assert 1 == starts.count


async def test_a_load_that_runs_out_of_memory_evicts_and_tries_once_more(
    residency: Residency, starts: Starts, make_plan: Any, tmp_path: Path
) -> None:
    """Estimates may be wrong: an idle model leaves, and the second attempt works."""
    await _answer(residency, *_many(make_plan, "a"))
    (plan,) = _many(make_plan, "b", load="memory-once", notes=str(tmp_path))

    events = await _answer(residency, plan)

    assert isinstance(events[-1], Finished)
    assert ["test/b"] == _loaded(residency)
    assert 3 == starts.count


async def test_it_tries_only_once_more(
    residency: Residency, starts: Starts, make_plan: Any
) -> None:
    """What still has no memory then fails; with nobody to evict it fails at once."""
    await _answer(residency, *_many(make_plan, "a"))
    (plan,) = _many(make_plan, "b", load="memory")

    assert isinstance(_error(await _answer(residency, plan)), OutOfMemoryError)
    assert 3 == starts.count
    assert isinstance(_error(await _answer(residency, plan)), OutOfMemoryError)
    assert 4 == starts.count


async def test_names_of_one_model_share_its_runner(
    residency: Residency, starts: Starts, make_plan: Any
) -> None:
    """Names with settings of their own share one set of weights, and the strongest one holds."""
    plain = make_plan(name="test/words", keep_alive_s=0.1)
    other = make_plan(name="test/alias", priority=3, pin=True)

    await _answer(residency, plain)
    await _answer(residency, other)
    await _answer(residency, plain)

    await asyncio.sleep(0.3)
    assert 1 == starts.count
    (status,) = residency.statuses()
    assert status.pinned


async def test_the_longest_keep_alive_of_the_names_holds(
    residency: Residency, make_plan: Any
) -> None:
    """A name that is kept for a short time does not take the model from one that is kept long."""
    await _answer(residency, make_plan(name="test/words", keep_alive_s=60))
    await _answer(residency, make_plan(name="test/alias", keep_alive_s=0))

    (status,) = residency.statuses()
    assert status.expires_in_s is not None
    assert status.expires_in_s > 50


async def test_other_options_are_another_runner(
    residency: Residency, starts: Starts, make_plan: Any
) -> None:
    """A name whose options change the load itself is not served by what others loaded."""
    await _answer(residency, make_plan(name="test/words"))
    await _answer(residency, make_plan(name="test/long", context_length=500))

    assert 2 == starts.count
    assert [1000, 500] == sorted(
        (status.context_length or 0 for status in residency.statuses()), reverse=True
    )


async def test_a_request_may_set_the_keep_alive(residency: Residency, make_plan: Any) -> None:
    """It counts from that request on, until another one says something else."""
    plan = make_plan()
    request = GenerateRequest("test/words", TextPrompt(""), keep_alive_s=0.0)

    events = [event async for event in residency.answer(plan, request, Trace(CONTEXT))]

    assert isinstance(events[-1], Finished)
    await _until_gone(residency)


async def test_preloading_keeps_the_keep_alive(
    residency: Residency, starts: Starts, make_plan: Any
) -> None:
    """A preloaded model answers the first request, and leaves when nobody ever asks."""
    plan = make_plan(keep_alive_s=0.5)

    stages = [stage async for stage in residency.preload(plan)]
    events = await _answer(residency, plan)

    assert "starting" in {stage.stage for stage in stages}
    assert not any(isinstance(event, Loading) for event in events)
    assert 1 == starts.count
    await _until_gone(residency)


async def test_a_load_that_was_asked_for_brings_its_keep_alive(
    residency: Residency, make_plan: Any
) -> None:
    """It counts until the next request."""
    plan = make_plan(keep_alive_s=60)

    async for _ in residency.preload(plan, keep_alive_s=0):
        pass

    await _until_gone(residency)


async def test_unloading_can_leave_alone_what_is_used(residency: Residency, make_plan: Any) -> None:
    """By the backend, and by whether somebody waits for it."""
    plan = make_plan(delay_s=0.2)
    digest = plan.artifact.digest
    request = GenerateRequest("test/words", TextPrompt(""))
    answer = residency.answer(plan, request, Trace(CONTEXT))
    await anext(answer)

    assert 0 == await residency.unload(digest, only_idle=True)
    await answer.aclose()
    assert 0 == await residency.unload(digest, backend="other")
    assert 1 == await residency.unload(digest, backend="faulty")


async def test_an_answer_tells_how_long_it_waited(residency: Residency, make_plan: Any) -> None:
    """The runner cannot know; the supervisor adds it to the last event."""
    last = (await _answer(residency, make_plan(load="slow")))[-1]

    assert isinstance(last, Finished)
    assert last.timings.load_s > 0


async def test_a_broken_model_is_not_loaded_in_a_loop(
    residency: Residency, starts: Starts, make_plan: Any
) -> None:
    """After two failures in a row it waits, and says why; `unload` lets it try at once."""
    plan = make_plan(load="exit")
    for _ in range(2):
        await _answer(residency, plan)

    for _ in range(20):
        error = _error(await _answer(residency, plan))
    assert isinstance(error, LoadError)
    assert "failed 2 times in a row" in str(error)
    assert "last words of the engine" in str(error)
    assert 2 == starts.count

    await residency.unload(plan.artifact.digest)
    await _answer(residency, plan)
    assert 3 == starts.count


async def test_a_model_that_crashes_on_every_request_waits_too(
    residency: Residency, starts: Starts, make_plan: Any
) -> None:
    """It loads, but has never answered: that counts as well, until it answers once."""
    plan = make_plan()
    for _ in range(2):
        await _answer(residency, plan, "kill")
        await _until_gone(residency)
    assert "SIGKILL" in str(_error(await _answer(residency, plan)))

    await asyncio.sleep(1.1)

    assert isinstance((await _answer(residency, plan))[-1], Finished)
    await _answer(residency, plan, "kill")
    await _until_gone(residency)
    assert isinstance((await _answer(residency, plan))[-1], Finished)


async def test_all_memory_is_back_after_an_unload(residency: Residency, make_plan: Any) -> None:
    """What a model took is gone with its process."""
    ballast_bytes = 200 * 1024 * 1024
    before = _tree_bytes()

    await _answer(residency, make_plan(ballast_bytes=ballast_bytes))
    loaded = _tree_bytes()
    await residency.unload(make_plan().artifact.digest)

    assert loaded - before > ballast_bytes
    assert _tree_bytes() - before < ballast_bytes / 10


async def test_loads_and_unloads_leave_nothing(
    residency: Residency, make_plan: Any, thorough: bool
) -> None:
    """Each round has a process of its own, and neither files nor threads nor tasks stay."""
    plan = make_plan("tiny")

    async def rounds(count: int) -> tuple[int, int, int]:
        for _ in range(count):
            assert isinstance((await _answer(residency, plan))[-1], Finished)
            assert await residency.unload(plan.artifact.digest)
        await asyncio.sleep(0.1)
        process = psutil.Process()
        return process.num_fds(), len(process.children()), len(asyncio.all_tasks())

    before = await rounds(2)

    assert before == await rounds(28 if thorough else 4)


def _tree_bytes() -> int:
    process = psutil.Process()
    return sum(item.memory_info().rss for item in [process, *process.children(recursive=True)])


def _trace(caller: str, timeout_s: float | None = None) -> Trace:
    return Trace(RequestContext(Caller(caller, frozenset(Scope)), timeout_s=timeout_s))


async def test_callers_take_turns(residency: Residency, make_plan: Any) -> None:
    """One request of a second caller does not wait for all of the first, who hear their places."""
    plan = make_plan("one two", delay_s=0.02, max_sequences=1)
    ended: list[str] = []

    async def ask(caller: str) -> list[Event]:
        request = GenerateRequest("test/words", TextPrompt(""))
        events = [event async for event in residency.answer(plan, request, _trace(caller))]
        ended.append(caller)
        return events

    greedy = [asyncio.create_task(ask("greedy")) for _ in range(8)]
    await asyncio.sleep(0)
    answers = await asyncio.gather(ask("ann"), *greedy)

    assert all(isinstance(events[-1], Finished) for events in answers)
    assert any(isinstance(event, Queued) for event in answers[-1])
    assert ended.index("ann") < 4
    assert (0, ()) == (residency.statuses()[0].running, residency.statuses()[0].waiting)


async def test_who_waits_is_shown_and_may_leave(residency: Residency, make_plan: Any) -> None:
    """The status names the callers in order; one that leaves the queue takes no turn."""
    plan = make_plan("one", delay_s=0.01, max_sequences=1)
    request = GenerateRequest("test/words", TextPrompt("for ever"))

    async def hold(caller: str) -> None:
        async for _ in residency.answer(plan, request, _trace(caller)):
            pass

    tasks = [asyncio.create_task(hold(name)) for name in ("a", "b", "c", "d")]
    while not (statuses := residency.statuses()) or statuses[0].running < 2:  # noqa: ASYNC110 - no event tells
        await asyncio.sleep(0.01)
    waiting = residency.statuses()[0].waiting
    tasks[2].cancel()
    await asyncio.wait([tasks[2]])

    assert ("c", "d") == waiting
    assert ("d",) == residency.statuses()[0].waiting
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def test_a_deadline_ends_a_running_answer(residency: Residency, make_plan: Any) -> None:
    """The model stops working for a request whose time is up."""
    plan = make_plan("one", delay_s=0.01)
    request = GenerateRequest("test/words", TextPrompt("for ever"))
    events = [event async for event in residency.answer(plan, request, _trace("ann", 1.0))]

    assert isinstance(events[-1], Failed)
    assert isinstance(events[-1].error, DeadlineExceededError)
    assert 0 == residency.statuses()[0].active_requests


async def test_a_deadline_ends_the_wait_for_a_load(residency: Residency, make_plan: Any) -> None:
    """Nobody waits longer for a model than they said."""
    plan = make_plan("one", load="hang")
    request = GenerateRequest("test/words", TextPrompt("x"))
    events = [event async for event in residency.answer(plan, request, _trace("ann", 0.2))]

    assert isinstance(events[-1], Failed)
    assert isinstance(events[-1].error, DeadlineExceededError)
    await _until_gone(residency)
