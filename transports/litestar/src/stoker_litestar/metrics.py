"""`GET /metrics`: how the server does, for Prometheus.

Requests and models are counted when the telemetry tells of their end, never per token. What is so
at the moment (memory, sequences, who waits) is looked up when somebody asks, and so is what plugins
measure.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import attrs
from litestar import Response, route
from litestar.handlers import HTTPRouteHandler
from prometheus_client import CollectorRegistry, Counter, Histogram
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.registry import Collector

from stoker.host import Host, RunnerStatus
from stoker.telemetry import LoadRecord, Record, RequestRecord, UnloadRecord
from stoker_litestar.authentication import NEEDS, any_key
from stoker_litestar.error_response import status_of
from stoker_litestar.measured import Measured
from stoker_litestar.route_table import READS

_CLIENT_LEFT = "499"
"""What nginx made the custom for a client that left before its answer."""
_UNKNOWN = "unknown"
"""Stands for the name of a model that is not here: anybody could make up any number of names."""

_LONG_S = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 25, 50, 100, 250, 600)
_SHORT_S = (0.001, 0.0025, 0.005, 0.01, 0.02, 0.03, 0.05, 0.075, 0.1, 0.15, 0.25, 0.5, 1)


class Metrics:
    """All series of one server, in a registry of their own."""

    def __init__(self, host: Host) -> None:
        """Begin to count."""
        self._host = host
        self._registry = CollectorRegistry()
        self._now = _Now()
        self._registry.register(self._now)
        self._measured = Measured()
        self._registry.register(self._measured)
        model = ("model",)
        self._requests = self._counter("requests", "Requests", ("model", "status"))
        self._prompt = self._counter("prompt_tokens", "Tokens of prompts", model)
        self._cached = self._counter("cached_tokens", "Prompt tokens that were reused", model)
        self._completion = self._counter("completion_tokens", "Tokens of answers", model)
        self._preemptions = self._counter("preemptions", "Sequences that were put off", model)
        self._queue_s = self._histogram("queue_seconds", "Wait for a turn", _LONG_S)
        self._first_s = self._histogram(
            "time_to_first_token_seconds", "To the first token", _LONG_S
        )
        self._inter_s = self._histogram(
            "inter_token_seconds", "Between two tokens, on average over a request", _SHORT_S
        )
        self._total_s = self._histogram("request_seconds", "From arrival to end", _LONG_S)
        self._load_s = self._histogram("load_seconds", "Loading of a model", _LONG_S)
        self._loads = self._counter("loads", "Loads of models", ("model", "status"))
        self._unloads = self._counter("unloads", "Unloads of models", ("model", "reason"))
        self._series: dict[tuple[str, str], _Series] = {}
        host.telemetry.listen(self._take)

    async def text(self) -> bytes:
        """All series, in the format of Prometheus."""
        self._now.runners = await self._host.status.runners()
        if self._host.metrics is not None:
            self._measured.families = await self._host.metrics.families()
        return generate_latest(self._registry)

    def _counter(self, name: str, text: str, labels: Sequence[str]) -> Counter:
        return Counter(f"stoker_{name}", f"{text}.", labels, registry=self._registry)

    def _histogram(self, name: str, text: str, buckets: Sequence[float]) -> Histogram:
        return Histogram(
            f"stoker_{name}", f"{text}.", ("model",), registry=self._registry, buckets=buckets
        )

    def _take(self, record: Record) -> None:
        match record:
            case RequestRecord():
                self._take_request(record)
            case LoadRecord():
                status = "ok" if record.error is None else "failed"
                self._loads.labels(record.model, status).inc()
                if record.error is None:
                    self._load_s.labels(record.model).observe(record.load_s)
            case UnloadRecord():
                self._unloads.labels(record.model, record.reason.value).inc()

    def _take_request(self, record: RequestRecord) -> None:
        status = str(200 if record.error is None else int(status_of(record.error)))
        status = _CLIENT_LEFT if record.cancelled else status
        if record.model is None:
            self._requests.labels(_UNKNOWN, status).inc()
            return
        series = self._series.get((record.model, status))
        if series is None:
            series = self._series[record.model, status] = self._series_of(record.model, status)
        series.requests.inc()
        series.total_s.observe(record.total_s)
        series.queue_s.observe(record.queue_s)
        if record.usage is None or record.timings is None:
            return
        series.prompt.inc(record.usage.prompt_tokens)
        series.cached.inc(record.usage.cached_tokens)
        series.completion.inc(record.usage.completion_tokens)
        series.preemptions.inc(record.timings.preemptions)
        if record.first_token_s is not None:
            series.first_s.observe(record.first_token_s)
        if record.inter_token_s is not None:
            series.inter_s.observe(record.inter_token_s)

    def _series_of(self, model: str, status: str) -> _Series:
        return _Series(
            requests=self._requests.labels(model, status),
            total_s=self._total_s.labels(model),
            queue_s=self._queue_s.labels(model),
            prompt=self._prompt.labels(model),
            cached=self._cached.labels(model),
            completion=self._completion.labels(model),
            preemptions=self._preemptions.labels(model),
            first_s=self._first_s.labels(model),
            inter_s=self._inter_s.labels(model),
        )


@attrs.frozen
class _Series:
    """The series of one model's requests that end alike; to look all up takes longer than to count.

    There are as many as there are models here, times statuses.
    """

    requests: Counter
    total_s: Histogram
    queue_s: Histogram
    prompt: Counter
    cached: Counter
    completion: Counter
    preemptions: Counter
    first_s: Histogram
    inter_s: Histogram


class _Now(Collector):
    """What is loaded at the moment that somebody asks."""

    def __init__(self) -> None:
        self.runners: Sequence[RunnerStatus] = ()

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """Make the series, for the registry."""
        values = {
            "model_memory_bytes": ("Memory that a loaded model was planned to take", _planned),
            "sequences_running": ("Sequences that an engine has", lambda one: one.running),
            "requests_waiting": ("Requests that wait for a turn", lambda one: len(one.waiting)),
            "model_context_tokens": ("Tokens per sequence", lambda one: one.context_length or 0),
        }
        for name, (text, value) in values.items():
            family = GaugeMetricFamily(f"stoker_{name}", f"{text}.", labels=("model", "backend"))
            totals: dict[tuple[str, str], float] = {}
            for runner in self.runners:
                # One model with two sets of options is two runners.
                key = runner.model, runner.backend
                totals[key] = totals.get(key, 0) + value(runner)
            for labels, total in totals.items():
                family.add_metric(labels, total)
            yield family


def _planned(runner: RunnerStatus) -> int:
    return runner.planned_bytes


def metrics_handler(host: Host) -> HTTPRouteHandler:
    """Make the handler, which counts from now on."""
    metrics = Metrics(host)

    async def scrape() -> Response[bytes]:
        return Response(await metrics.text(), headers={"content-type": CONTENT_TYPE_LATEST})

    return route("/metrics", http_method=READS, opt={NEEDS: any_key})(scrape)
