"""A source of metrics: who asked, and for how much. stoker's own metrics go by model."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from stoker.caller import Caller
from stoker.metrics import MetricFamily, MetricKind, MetricSource, Sample
from stoker.telemetry import Record, RequestRecord
from stoker_recorder.recorder import outcome_of

NO_KEY = "no key"
"""Stands for everybody who is known by an address only: there may be any number of those."""


class CallerMetrics(MetricSource):
    """Counts by the names that keys have in the configuration: there are only so many."""

    def __init__(self) -> None:
        self._requests: Counter[tuple[str, str]] = Counter()
        self._tokens: Counter[str] = Counter()

    def hear(self, event: Record) -> None:
        """Count a request at its end."""
        if isinstance(event, RequestRecord):
            caller = _name_of(event.context.caller)
            self._requests[caller, outcome_of(event)] += 1
            if event.usage is not None:
                self._tokens[caller] += event.usage.total_tokens

    def families(self) -> Iterable[MetricFamily]:
        """Requests by caller and outcome, and tokens by caller."""
        requests = [
            Sample(count, {"caller": caller, "outcome": outcome})
            for (caller, outcome), count in self._requests.items()
        ]
        tokens = [Sample(count, {"caller": caller}) for caller, count in self._tokens.items()]
        counter = MetricKind.COUNTER
        yield MetricFamily("recorder_requests", counter, "Requests by caller.", requests)
        yield MetricFamily("recorder_tokens", counter, "Tokens read and written.", tokens)


def _name_of(caller: Caller) -> str:
    return NO_KEY if caller.name == caller.address else caller.name
