"""Tests of `stoker.supervisor.metric_sources`: sources are asked, and hurt nobody."""

from __future__ import annotations

import threading
from collections.abc import AsyncIterator, Callable, Iterable

import pytest

from stoker.metrics import MetricFamily, MetricKind, MetricSource, Sample
from stoker.supervisor import metric_sources
from stoker.supervisor.listener_thread import ListenerThread
from stoker.supervisor.metric_sources import MetricSources
from stoker.telemetry import LoadRecord, Record


class Counting(MetricSource):
    """Counts events, or does what a test wants instead."""

    def __init__(self, name: str = "heard", answer: Callable[[], object] = lambda: None) -> None:
        self._name = name
        self._answer = answer
        self._heard = 0

    def hear(self, event: Record) -> None:
        self._heard += 1

    def families(self) -> Iterable[MetricFamily]:
        other = self._answer()
        if other is not None:
            return other  # type: ignore[return-value]
        return [MetricFamily(self._name, MetricKind.COUNTER, "Events.", (Sample(self._heard),))]


Start = Callable[..., MetricSources]


@pytest.fixture
async def start() -> AsyncIterator[Start]:
    """A function that starts sources by their names, which are ended after the test."""
    threads: list[ListenerThread] = []

    def make(**sources: Callable[[], MetricSource]) -> MetricSources:
        threads.extend(ListenerThread(name, source) for name, source in sources.items())
        return MetricSources((), threads)

    yield make
    for thread in threads:
        thread.end()


async def values(sources: MetricSources) -> dict[str, float]:
    """The values by the family's name and the values of the labels."""
    return {
        " ".join([family.name, *sample.labels.values()]): sample.value
        for family in await sources.families()
        for sample in family.samples
        if isinstance(sample, Sample)
    }


async def test_what_was_heard_before_is_counted(start: Start) -> None:
    """A look comes behind the events that wait, and says how the plugins do."""
    sources = start(a=Counting)
    for thread in sources._sources:
        for number in range(3):
            thread.take(LoadRecord(f"ai/{number}", "parrot", 0.1))

    assert {
        "stoker_events_missed a": 0,
        "stoker_metric_source_up a": 1,
        "heard": 3,
    } == await values(sources)


def fail() -> object:
    raise ValueError("no luck")


def refuse() -> MetricSource:
    raise OSError("no disk")


@pytest.mark.parametrize(
    ("source", "words"),
    [
        (lambda: Counting(answer=fail), "those of bad: ValueError: no luck"),
        (lambda: Counting(answer=lambda: [1]), "those of bad: TypeError: 1 is no MetricFamily"),
        (refuse, "those of bad: TypeError: its factory makes no MetricSource, or failed"),
        (lambda: Counting("stoker_mine"), "names that begin with stoker_ are stoker's own"),
        (lambda: Counting("heard"), "heard of bad: the name is taken"),
    ],
)
async def test_one_that_fails_is_left_out(
    start: Start,
    caplog: pytest.LogCaptureFixture,
    source: Callable[[], MetricSource],
    words: str,
) -> None:
    """The others are asked all the same, and the log speaks of it once."""
    sources = start(a=Counting, bad=source)
    found = await values(sources)

    assert found == await values(sources)
    assert 0 == found["heard"]
    warnings = [item.message for item in caplog.records if item.name == metric_sources.__name__]
    assert 1 == len(warnings)
    assert words in warnings[0]


async def test_one_that_hangs_is_not_waited_for(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It counts as down, and is asked again when it has come back."""
    monkeypatch.setattr(metric_sources, "ASK_TIMEOUT_S", 0.1)
    go = threading.Event()
    sources = start(a=Counting, slow=lambda: Counting("slow", lambda: go.wait(10) and None))
    found = await values(sources)
    go.set()
    monkeypatch.setattr(metric_sources, "ASK_TIMEOUT_S", 10)
    again = await values(sources)

    assert (1, 0) == tuple(found[f"stoker_metric_source_up {name}"] for name in ("a", "slow"))
    assert "slow" not in found
    assert (1, 1) == tuple(again[f"stoker_metric_source_up {name}"] for name in ("a", "slow"))
    assert 0 == again["slow"]


async def test_too_many_samples_are_refused(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    """One source must not make a page that nobody can read."""
    monkeypatch.setattr(metric_sources, "MAX_SAMPLES", 0)
    found = await values(start(a=Counting))

    assert {"stoker_events_missed a": 0, "stoker_metric_source_up a": 0} == found


async def test_without_plugins_there_is_nothing() -> None:
    """No empty families are made up."""
    assert [] == await MetricSources((), ()).families()
