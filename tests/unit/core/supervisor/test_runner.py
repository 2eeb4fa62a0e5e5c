from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import psutil
import pytest

from stoker.application import LoadPlan
from stoker.errors import LoadError, RunnerCrashedError, StokerError, UnavailableError
from stoker.events import ChoiceFinished, Event, Failed, Finished, FinishReason, Prefill, TextDelta
from stoker.request import GenerateRequest, TextPrompt
from stoker.supervisor.runner import Runner


def _ignore(stage: str, fraction: float | None) -> None:
    """No test looks at it."""


@contextlib.asynccontextmanager
async def _running(
    plan: LoadPlan, timeout_s: float = 20.0, **options: float
) -> AsyncIterator[Runner]:
    runner = await Runner.start(plan, timeout_s=timeout_s, report=_ignore, **options)
    try:
        yield runner
    finally:
        await runner.close()
        assert not psutil.pid_exists(runner.pid)


def _ask(prompt: str = "", **options: Any) -> GenerateRequest:
    return GenerateRequest("test/words", TextPrompt(prompt), **options)


async def _answer(runner: Runner, prompt: str = "", **options: Any) -> list[Event]:
    return [event async for event in runner.answer(_ask(prompt, **options))]


def _text(events: list[Event]) -> str:
    return "".join(event.text for event in events if isinstance(event, TextDelta))


async def _until(holds: Callable[[], object]) -> None:
    """Wait for what no event tells."""
    async with asyncio.timeout(20):
        while not holds():  # noqa: ASYNC110 - see above
            await asyncio.sleep(0.005)


def _gone(process: psutil.Process) -> bool:
    """Whether it has ended; who collects it may take a while."""
    try:
        return process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


async def _hangs(runner: Runner) -> asyncio.Task[list[Event]]:
    """A request that hangs in the engine by now."""
    answer = asyncio.create_task(_answer(runner, "hang"))
    await _until(lambda: "hangs now" in runner._process.words.summary)
    return answer


def _error(events: list[Event]) -> StokerError:
    assert isinstance(events[-1], Failed)
    return events[-1].error


async def test_a_request_is_answered_from_a_process_of_its_own(make_plan: Any) -> None:
    """The events come in the promised order, from another process."""
    async with _running(make_plan()) as runner:
        events = await _answer(runner)

        assert "one two three " == _text(events)
        assert isinstance(events[0], Prefill)
        assert ChoiceFinished(FinishReason.STOP) == events[-2]
        assert isinstance(events[-1], Finished)
        assert 3 == events[-1].usage.completion_tokens
        assert os.getpid() != runner.pid


async def test_requests_run_side_by_side(make_plan: Any) -> None:
    """Answers of concurrent requests do not mix."""
    async with _running(make_plan(delay_s=0.005)) as runner:
        answers = await asyncio.gather(*(_answer(runner, n=2) for _ in range(4)))

        for events in answers:
            for index in range(2):
                deltas = [e.text for e in events if isinstance(e, TextDelta) and e.index == index]
                assert "one two three " == "".join(deltas)


async def test_closing_the_events_cancels_the_request(make_plan: Any) -> None:
    """An endless answer ends when nobody reads it, and others get its place."""
    async with _running(make_plan()) as runner:
        async with contextlib.aclosing(runner.answer(_ask("for ever"))) as events:
            async for event in events:
                if isinstance(event, TextDelta):
                    break

        assert "one two three " == _text(await _answer(runner))
        # What works sends something every 30 ms.
        heard_s = runner._heard_s
        await asyncio.sleep(0.3)
        assert heard_s == runner._heard_s


async def test_a_slow_reader_is_given_up(make_plan: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """What waits for a slow client is bounded; past the bound its request fails."""
    monkeypatch.setattr("stoker.supervisor.event_queue.MAX_WAITING", 5)
    async with _running(make_plan()) as runner:
        events: list[Event] = []
        async for event in runner.answer(_ask("for ever")):
            events.append(event)
            await _until(lambda: all(queue.ended for queue in runner._queues.values()))

        assert "reads more slowly" in str(_error(events))


@pytest.mark.parametrize(
    ("prompt", "words"),
    [
        ("kill", "was killed by SIGKILL"),
        ("segfault", "was killed by SIGSEGV"),
        ("exit", "ended with exit code 3"),
    ],
)
async def test_a_runner_that_dies_fails_its_requests_only(
    make_plan: Any, prompt: str, words: str
) -> None:
    """The stream ends with an error that says how the process ended, and later ones do so too."""
    async with _running(make_plan()) as runner:
        events = await _answer(runner, prompt)

        error = _error(events)
        assert isinstance(error, RunnerCrashedError)
        assert words in str(error)
        await asyncio.wait_for(runner.ended.wait(), 10)
        assert isinstance(_error(await _answer(runner)), RunnerCrashedError)


async def test_a_request_that_raises_fails_alone(make_plan: Any) -> None:
    """An exception in one answer leaves the runner and the others alone."""
    async with _running(make_plan()) as runner:
        assert "told to raise" in str(_error(await _answer(runner, "raise")))
        assert "one two three " == _text(await _answer(runner))


async def test_output_of_native_code_disturbs_nothing(make_plan: Any) -> None:
    """Garbage on stdout and a flood on stderr are drained, and are not frames."""
    async with _running(make_plan()) as runner:
        assert "one two three " == _text(await _answer(runner, "chatter"))


@pytest.mark.parametrize(
    ("load", "words"),
    [
        ("refuse", "told to refuse"),
        ("raise", "RuntimeError: told to raise"),
        ("exit", "last words of the engine"),
        ("kill", r"SIGKILL\..*what the system does when memory is short"),
        ("flood", "the last line of the flood"),
    ],
)
async def test_a_load_that_fails_says_why(make_plan: Any, load: str, words: str) -> None:
    """The engine's own words reach whoever waits, and no process stays."""
    before = set(psutil.Process().children())

    with pytest.raises(LoadError, match=words):
        await Runner.start(make_plan(load=load), timeout_s=20, report=_ignore)

    assert set() == set(psutil.Process().children()) - before


async def test_a_load_that_hangs_is_given_up(
    make_plan: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After the time-out the process is killed."""
    monkeypatch.setattr("stoker.supervisor.runner.LOAD_CLOSE_TIMEOUT_S", 0.1)

    with pytest.raises(LoadError, match=r"longer than 0\.5 s"):
        await Runner.start(make_plan(load="hang"), timeout_s=0.5, report=_ignore)


async def test_loading_progress_is_reported(make_plan: Any) -> None:
    """Whoever starts a runner is told how far it has come."""
    reports: list[tuple[str, float | None]] = []

    runner = await Runner.start(
        make_plan(load="slow"), timeout_s=20, report=lambda *report: reports.append(report)
    )
    await runner.close()

    assert ("stirring", 0.5) in reports


async def test_a_cancelled_load_leaves_no_process(make_plan: Any) -> None:
    """Who stops waiting for a load takes its process away."""
    before = set(psutil.Process().children())
    stages: list[str] = []
    start = Runner.start(
        make_plan(load="slow"), timeout_s=20, report=lambda stage, _: stages.append(stage)
    )
    load = asyncio.create_task(start)
    await _until(lambda: "stirring" in stages)
    load.cancel()
    with pytest.raises(asyncio.CancelledError):
        await load

    assert set() == set(psutil.Process().children()) - before


async def test_closing_fails_what_still_runs(make_plan: Any) -> None:
    """Requests inside an unloaded model end with an error, not with silence."""
    runner = await Runner.start(make_plan(), timeout_s=20, report=_ignore)
    events = runner.answer(_ask("for ever"))
    await anext(events)
    await runner.close()

    error = _error([event async for event in events])
    assert isinstance(error, UnavailableError)
    assert "unloaded" in str(error)


async def test_a_hanging_runner_is_killed_on_close(
    make_plan: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A runner that does not listen any more is ended by force, soon."""
    monkeypatch.setattr("stoker.supervisor.runner.CLOSE_TIMEOUT_S", 0.5)
    runner = await Runner.start(make_plan(), timeout_s=20, report=_ignore)
    answer = await _hangs(runner)

    await runner.close()

    assert runner._process.killed
    assert not psutil.pid_exists(runner.pid)
    _error(await answer)


async def test_a_hang_in_a_step_is_ended(make_plan: Any) -> None:
    """A runner that gives no sign of life while it has requests is killed, and they hear of it."""
    async with _running(make_plan(), step_timeout_s=0.5) as runner:
        error = _error(await asyncio.wait_for(_answer(runner, "hang"), 10))

        assert isinstance(error, RunnerCrashedError)
        assert "no sign of life for 0.5 s" in str(error)


async def test_an_idle_or_slow_runner_is_no_hung_one(make_plan: Any) -> None:
    """The time counts from the last sign of life, and only while there are requests."""
    async with _running(make_plan("1 2 3 4 5", delay_s=0.2), step_timeout_s=0.8) as runner:
        assert "1 2 3 4 5 " == _text(await _answer(runner))
        # The watch of the first request is still set when the second one comes.
        await asyncio.sleep(0.5)
        assert "1 2 3 4 5 " == _text(await _answer(runner))


async def test_what_the_engine_started_ends_with_it(make_plan: Any, tmp_path: Path) -> None:
    """Processes of an engine do not outlive its unloading."""
    async with _running(make_plan(load="child", notes=str(tmp_path))) as runner:
        child = psutil.Process(int((tmp_path / "child").read_text()))
        assert child.is_running()
        await runner.close()

    await _until(lambda: _gone(child))


async def test_a_crash_shows_although_what_the_engine_started_lives(
    make_plan: Any, tmp_path: Path
) -> None:
    """A child of the engine that holds the runner's socket open does not hide its end."""
    async with _running(make_plan(load="child", notes=str(tmp_path))) as runner:
        child = psutil.Process(int((tmp_path / "child").read_text()))

        error = _error(await asyncio.wait_for(_answer(runner, "kill"), 10))

        assert isinstance(error, RunnerCrashedError)
        await _until(lambda: _gone(child))


@pytest.mark.parametrize("prompt", ["for ever", "hang"])
async def test_a_whole_group_ends_when_the_supervisor_is_killed(
    make_plan: Any, tmp_path: Path, prompt: str
) -> None:
    """No orphans: neither the runner nor what its engine started, whether it hangs or works."""
    plan = make_plan(load="child", notes=str(tmp_path))
    runner = await Runner.start(plan, timeout_s=20, report=_ignore)
    processes = [psutil.Process(runner.pid), psutil.Process(int((tmp_path / "child").read_text()))]
    events = runner.answer(_ask(prompt))
    await anext(events)
    if prompt == "hang":
        await _until(lambda: "hangs now" in runner._process.words.summary)
    # Closing our end without a word is what the kernel does for a supervisor killed with -9.
    runner._writer.transport.abort()

    await _until(lambda: all(_gone(process) for process in processes))
    _error([event async for event in events])
