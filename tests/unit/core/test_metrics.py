"""Tests of `stoker.metrics`."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from stoker.metrics import Distribution, MetricFamily, MetricKind, Sample


def gauge(name: str, *samples: Sample | Distribution) -> MetricFamily:
    return MetricFamily(name, MetricKind.GAUGE, "Feathers.", samples)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: gauge("two words"), r"no name"),
        (lambda: gauge("feathers_total"), r"must not end with _total"),
        (lambda: Sample(1, {"a-b": "x"}), r"no label"),
        (lambda: Sample(1, {"a": 2}), r"no label"),  # type: ignore[dict-item]
        (lambda: Sample("many"), r"could not convert"),  # type: ignore[arg-type]
        (lambda: gauge("x", Sample(1), Sample(1, {"a": "b"})), r"with the same labels"),
        (lambda: gauge("x", Distribution((), 1, 1)), r"All samples of x are Samples"),
        (lambda: gauge("x", Sample(1, {"a": "b"}), Sample(2, {"a": "b"})), r"Two samples"),
    ],
)
def test_what_nobody_could_write_is_refused(make: Callable[[], object], words: str) -> None:
    """A mistake shows where it is made, not as a page that cannot be scraped."""
    with pytest.raises(ValueError, match=words):
        make()


def test_each_kind_takes_its_own_names() -> None:
    """Families may clash that have names of their own."""
    histogram = MetricFamily("x", MetricKind.HISTOGRAM, "Sizes.", ())

    assert {"x_sum"} == histogram.series & gauge("x_sum").series
    assert frozenset() == histogram.series & gauge("y").series
