"""The sources of metrics of all plugins, asked one look at a time."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable, Sequence
from concurrent.futures import Future

import attrs

from stoker.listener import Listener
from stoker.metrics import RESERVED_PREFIX, MetricFamily, MetricKind, MetricSource, Sample
from stoker.supervisor.listener_thread import ListenerThread

_log = logging.getLogger(__name__)

ASK_TIMEOUT_S = 1.0
"""Whoever scrapes waits for the slowest source."""
MAX_SAMPLES = 10_000
"""Of one source in one look; each is a series that somebody keeps."""


@attrs.define
class MetricSources:
    """`stoker.host.Metrics` over the plugins. Used on the event loop only."""

    _listeners: Sequence[ListenerThread]
    _sources: Sequence[ListenerThread]
    _complained: set[str] = attrs.field(factory=set, init=False)
    """Of which the log has spoken: a scrape comes every few seconds."""

    async def families(self) -> Sequence[MetricFamily]:
        """See the protocol."""
        answers = await asyncio.gather(*map(self._ask, self._sources))
        found: list[MetricFamily] = []
        taken: set[str] = set()
        for source, families in zip(self._sources, answers, strict=True):
            for family in families or ():
                problem = ""
                if family.name.startswith(RESERVED_PREFIX):
                    problem = f"names that begin with {RESERVED_PREFIX} are stoker's own"
                elif family.series & taken:
                    problem = "the name is taken"
                if problem:
                    name = f"{family.name} of {source.name}"
                    self._complain(name, f"{name}: {problem}")
                else:
                    taken |= family.series
                    found.append(family)
        up = {
            source.name: families is not None
            for source, families in zip(self._sources, answers, strict=True)
        }
        return [*self._own(up), *found]

    def _own(self, up: dict[str, bool]) -> Iterable[MetricFamily]:
        """How the plugins themselves do."""
        missed: dict[str, int] = {}
        for thread in (*self._listeners, *self._sources):
            missed[thread.name] = missed.get(thread.name, 0) + thread.missed
        if missed:
            yield MetricFamily(
                f"{RESERVED_PREFIX}events_missed",
                MetricKind.COUNTER,
                "Events that a plugin was too slow for.",
                tuple(Sample(count, {"plugin": name}) for name, count in missed.items()),
            )
        if up:
            yield MetricFamily(
                f"{RESERVED_PREFIX}metric_source_up",
                MetricKind.GAUGE,
                "Whether a plugin's metrics came in time.",
                tuple(Sample(value, {"source": name}) for name, value in up.items()),
            )

    async def _ask(self, source: ListenerThread) -> Sequence[MetricFamily] | None:
        """What a source has measured; None when it does not say."""
        answer: Future[Sequence[MetricFamily]] = Future()
        if not source.do(lambda listener: _answer(listener, answer)):
            self._complain(source.name, f"those of {source.name}: too many events wait for it")
            return None
        try:
            families = await asyncio.wait_for(asyncio.wrap_future(answer), ASK_TIMEOUT_S)
        except TimeoutError:
            self._complain(source.name, f"those of {source.name}: it takes too long")
        except Exception as exc:  # noqa: BLE001 - it is logged, and nobody else is to blame
            self._complain(source.name, f"those of {source.name}: {type(exc).__name__}: {exc}")
        else:
            self._complained.discard(source.name)
            return families
        return None

    def _complain(self, key: str, problem: str) -> None:
        if key not in self._complained:
            self._complained.add(key)
            _log.warning("Metrics are left out, %s", problem)


def _answer(listener: Listener, answer: Future[Sequence[MetricFamily]]) -> None:
    """Ask a source, in its thread, unless nobody waits any more."""
    if not answer.set_running_or_notify_cancel():
        return
    try:
        answer.set_result(_families(listener))
    except Exception as exc:  # noqa: BLE001 - raised again for whoever asked
        answer.set_exception(exc)


def _families(listener: Listener) -> Sequence[MetricFamily]:
    if not isinstance(listener, MetricSource):
        raise TypeError("its factory makes no MetricSource, or failed")
    families = tuple(listener.families())
    for family in families:
        if not isinstance(family, MetricFamily):
            raise TypeError(f"{family!r} is no MetricFamily")
    samples = sum(len(family.samples) for family in families)
    if samples > MAX_SAMPLES:
        raise ValueError(f"{samples} samples are more than {MAX_SAMPLES}")
    return families
