"""The metrics seam: what a plugin measures, for whoever scrapes the server.

A source hears of the same events as a listener, in a thread of its own, and is asked for its
families when somebody looks at the metrics. What it gives is data: how it is written is the
transport's business (`GET /metrics` in the format of Prometheus). A source that raises or takes
too long is left out of that look and hurts nobody.
"""

from __future__ import annotations

import abc
import enum
import re
from collections.abc import Callable, Iterable, Mapping

import attrs

from stoker.listener import Listener
from stoker.telemetry import Record

RESERVED_PREFIX = "stoker_"
"""Begins the names of stoker's own families; those of plugins begin otherwise."""

_NAME = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")


class MetricKind(enum.StrEnum):
    """What the values of a family are."""

    COUNTER = "counter"
    """A sum that only grows while the source lives."""
    GAUGE = "gauge"
    """How it is at the moment."""
    HISTOGRAM = "histogram"
    """How many values were how large; its samples are `Distribution`s."""


def _checked_name(_instance: object, _attribute: object, value: str) -> None:
    if not _NAME.fullmatch(value):
        raise ValueError(f"{value!r} is no name of a metric: use letters, digits and _.")


def _checked_total(_instance: object, _attribute: object, value: str) -> None:
    if value.endswith("_total"):
        raise ValueError(f"{value!r} must not end with _total, which is added where it is due.")


def _checked_labels(_instance: object, _attribute: object, value: Mapping[str, str]) -> None:
    for name, text in value.items():
        if not _NAME.fullmatch(name) or not isinstance(text, str):
            raise ValueError(f"{name}={text!r} is no label: names are words, and values are text.")


@attrs.frozen
class Sample:
    """A value, and of what it is."""

    value: float = attrs.field(converter=float)
    labels: Mapping[str, str] = attrs.field(factory=dict, validator=_checked_labels, hash=False)
    """The same names in all samples of a family. Few values: each set is kept by who scrapes."""


@attrs.frozen
class Distribution:
    """How many values were how large."""

    buckets: tuple[tuple[float, int], ...]
    """Pairs of a bound and of how many values were at most that, the bounds growing."""
    total: float = attrs.field(converter=float)
    """The sum of all values."""
    count: int
    """Of all values, those beyond the last bound included."""
    labels: Mapping[str, str] = attrs.field(factory=dict, validator=_checked_labels, hash=False)


def _as_tuple(samples: Iterable[Sample | Distribution]) -> tuple[Sample | Distribution, ...]:
    return tuple(samples)


@attrs.frozen
class MetricFamily:
    """Values of one kind under one name."""

    name: str = attrs.field(validator=[_checked_name, _checked_total])
    """With its unit at the end (`parrot_feather_bytes`); without the `_total` of counters."""
    kind: MetricKind
    text: str
    """What it is, in a sentence."""
    samples: tuple[Sample | Distribution, ...] = attrs.field(converter=_as_tuple)

    def __attrs_post_init__(self) -> None:
        wanted = Distribution if self.kind is MetricKind.HISTOGRAM else Sample
        names = {frozenset(sample.labels) for sample in self.samples}
        if len(names) > 1 or not all(isinstance(sample, wanted) for sample in self.samples):
            raise ValueError(
                f"All samples of {self.name} are {wanted.__name__}s with the same labels."
            )
        values = {frozenset(sample.labels.items()) for sample in self.samples}
        if len(values) < len(self.samples):
            raise ValueError(f"Two samples of {self.name} have the same values of their labels.")

    @property
    def series(self) -> frozenset[str]:
        """The names that this becomes where metrics are written as text."""
        ends = {
            MetricKind.COUNTER: ("", "_total", "_created"),
            MetricKind.GAUGE: ("",),
            MetricKind.HISTOGRAM: ("", "_bucket", "_count", "_sum", "_created"),
        }
        return frozenset(f"{self.name}{end}" for end in ends[self.kind])


class MetricSource(Listener):
    """Measures. All calls come from one thread, one after another, the events in their order.

    Events may be missed when the source is slow: a thousand wait for it at most.
    """

    def hear(self, event: Record) -> None:
        """Take an event, as a `Listener`; left as it is, nothing is heard."""

    @abc.abstractmethod
    def families(self) -> Iterable[MetricFamily]:
        """What was measured. Called at every look; may take some milliseconds."""


@attrs.frozen
class MetricSpec:
    """A metrics plugin's record."""

    name: str
    """As users see it in `stoker plugins`, and in `stoker_metric_source_up`."""
    factory: Callable[[], MetricSource]
    """Called in the source's thread when the server starts; one that raises is logged."""
