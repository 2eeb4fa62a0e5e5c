from __future__ import annotations

import asyncio
import contextlib
import os
import time
from collections.abc import AsyncIterator
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
        await asyncio.sleep(0.2)
        assert psutil.Process(runner.pid).cpu_percent(interval=0.3) < 50


async def test_a_slow_reader_is_given_up(make_plan: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """What waits for a slow client is bounded; past the bound its request fails."""
    monkeypatch.setattr("stoker.supervisor.event_queue.MAX_WAITING", 5)
    async with _running(make_plan()) as runner:
        events: list[Event] = []
        async for event in runner.answer(_ask("for ever")):
            events.append(event)
            await asyncio.sleep(0.5)

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
    monkeypatch.setattr("stoker.supervisor.runner.CLOSE_TIMEOUT_S", 0.5)

    with pytest.raises(LoadError, match="longer than 2 s"):
        await Runner.start(make_plan(load="hang"), timeout_s=2, report=_ignore)


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
    load = asyncio.create_task(Runner.start(make_plan(load="slow"), timeout_s=20, report=_ignore))
    await asyncio.sleep(0.5)
    load.cancel()
    with pytest.raises(asyncio.CancelledError):
        await load

    assert set() == set(psutil.Process().children()) - before


async def test_closing_fails_what_still_runs(make_plan: Any) -> None:
    """Requests inside an unloaded model end with an error, not with silence."""
    runner = await Runner.start(make_plan(), timeout_s=20, report=_ignore)
    answer = asyncio.create_task(_answer(runner, "for ever"))
    await asyncio.sleep(0.2)
    await runner.close()

    error = _error(await asyncio.wait_for(answer, 5))
    assert isinstance(error, UnavailableError)
    assert "unloaded" in str(error)


async def test_a_hanging_runner_is_killed_on_close(
    make_plan: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A runner that does not listen any more is ended by force, soon."""
    monkeypatch.setattr("stoker.supervisor.runner.CLOSE_TIMEOUT_S", 0.5)
    runner = await Runner.start(make_plan(), timeout_s=20, report=_ignore)
    answer = asyncio.create_task(_answer(runner, "hang"))
    await asyncio.sleep(0.3)

    started = time.monotonic()
    await runner.close()

    assert time.monotonic() - started < 5
    assert not psutil.pid_exists(runner.pid)
    _error(await answer)


async def test_a_runner_ends_when_its_supervisor_is_killed(make_plan: Any) -> None:
    """No orphan: the runner of a supervisor that was killed with -9 goes away by itself."""
    runner = await Runner.start(make_plan(), timeout_s=20, report=_ignore)
    process = psutil.Process(runner.pid)
    # Closing our end without a word is what the kernel does for a killed supervisor.
    answer = asyncio.create_task(_answer(runner, "hang"))
    await asyncio.sleep(0.3)
    runner._writer.transport.abort()

    await asyncio.to_thread(process.wait, 10)

    _error(await answer)


async def test_a_hang_in_a_step_is_ended(make_plan: Any) -> None:
    """A runner that gives no sign of life while it has requests is killed, and they hear of it."""
    async with _running(make_plan(), step_timeout_s=0.5) as runner:
        error = _error(await asyncio.wait_for(_answer(runner, "hang"), 10))

        assert isinstance(error, RunnerCrashedError)
        assert "no sign of life for 0.5 s" in str(error)


async def test_an_idle_or_slow_runner_is_no_hung_one(make_plan: Any) -> None:
    """The time counts from the last sign of life, and only while there are requests."""
    async with _running(make_plan("1 2 3 4 5 6", delay_s=0.2), step_timeout_s=0.6) as runner:
        assert "1 2 3 4 5 6 " == _text(await _answer(runner))
        # The watch of the first request is still set when the second one comes.
        await asyncio.sleep(0.4)
        assert "1 2 3 4 5 6 " == _text(await _answer(runner))
        await asyncio.sleep(0.8)
        assert "1 2 3 4 5 6 " == _text(await _answer(runner))


async def test_what_the_engine_started_ends_with_it(make_plan: Any, tmp_path: Path) -> None:
    """Processes of an engine do not outlive its unloading."""
    async with _running(make_plan(load="child", notes=str(tmp_path))) as runner:
        child = psutil.Process(int((tmp_path / "child").read_text()))
        assert child.is_running()
        started_s = time.monotonic()
        await runner.close()

    await asyncio.to_thread(child.wait, 5)
    assert time.monotonic() - started_s < 5


async def test_a_crash_shows_although_what_the_engine_started_lives(
    make_plan: Any, tmp_path: Path
) -> None:
    """A child of the engine that holds the runner's socket open does not hide its end."""
    async with _running(make_plan(load="child", notes=str(tmp_path))) as runner:
        child = psutil.Process(int((tmp_path / "child").read_text()))

        error = _error(await asyncio.wait_for(_answer(runner, "kill"), 10))

        assert isinstance(error, RunnerCrashedError)
        await asyncio.to_thread(child.wait, 5)


@pytest.mark.parametrize("prompt", ["for ever", "hang"])
async def test_a_whole_group_ends_when_the_supervisor_is_killed(
    make_plan: Any, tmp_path: Path, prompt: str
) -> None:
    """Neither the runner nor what its engine started is left, whether it hangs or works."""
    plan = make_plan(load="child", notes=str(tmp_path))
    runner = await Runner.start(plan, timeout_s=20, report=_ignore)
    processes = [psutil.Process(runner.pid), psutil.Process(int((tmp_path / "child").read_text()))]
    answer = asyncio.create_task(_answer(runner, prompt))
    await asyncio.sleep(0.3)
    runner._writer.transport.abort()

    for process in processes:
        await asyncio.to_thread(process.wait, 10)

    _error(await answer)
