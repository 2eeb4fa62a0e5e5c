"""What plugins have measured, for the library that writes metrics."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector

from stoker.metrics import Distribution, MetricFamily, MetricKind, Sample


class Measured(Collector):
    """What the host's sources have measured."""

    def __init__(self) -> None:
        self.families: Sequence[MetricFamily] = ()

    def collect(self) -> Iterator[Metric]:
        """Make the series, for the registry."""
        yield from map(_converted, self.families)


def _converted(family: MetricFamily) -> Metric:
    """A family of the core's as one of the library's."""
    labels = sorted(family.samples[0].labels) if family.samples else []
    text = family.text
    if family.kind is MetricKind.HISTOGRAM:
        histogram = HistogramMetricFamily(family.name, text, labels=labels)
        for sample in family.samples:
            if isinstance(sample, Distribution):
                bounds = [(str(float(bound)), count) for bound, count in sample.buckets]
                buckets = [*bounds, ("+Inf", sample.count)]
                histogram.add_metric([sample.labels[key] for key in labels], buckets, sample.total)
        return histogram
    kind = CounterMetricFamily if family.kind is MetricKind.COUNTER else GaugeMetricFamily
    made = kind(family.name, text, labels=labels)
    for sample in family.samples:
        if isinstance(sample, Sample):
            made.add_metric([sample.labels[key] for key in labels], sample.value)
    return made
