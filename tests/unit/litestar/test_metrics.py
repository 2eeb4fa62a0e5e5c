"""Metrics for Prometheus."""

from __future__ import annotations

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from stoker.caller import LOCAL, RequestContext, Scope
from stoker.digest import Digest
from stoker.errors import OverloadedError, StokerError
from stoker.events import Timings, Usage
from stoker.host import RunnerState, RunnerStatus
from stoker.keys import ApiKey, KeyRing, hash_of
from stoker.metrics import Distribution, MetricFamily, MetricKind, Sample
from stoker.telemetry import LoadRecord, RequestRecord, UnloadReason, UnloadRecord
from stoker.testing import ScriptedHost


async def series(http: httpx.AsyncClient) -> dict[tuple[str, ...], float]:
    """All samples by name and the values of the labels, by the labels' names."""
    response = await http.get("/metrics")
    assert response.headers["content-type"].startswith("text/plain; version=")
    return {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(response.text)
        for sample in family.samples
    }


def ended(model: str | None = "ai/x", **values: object) -> RequestRecord:
    return RequestRecord(RequestContext(LOCAL), model, total_s=3.0, **values)  # type: ignore[arg-type]


async def test_an_answered_request_is_counted_by_its_model(
    http: httpx.AsyncClient, scripted: ScriptedHost
) -> None:
    """Its tokens, and where its time went."""
    scripted.telemetry.tell(
        ended(
            queue_s=0.2,
            load_s=0.5,
            usage=Usage(10, 5, cached_tokens=4),
            timings=Timings(prefill_s=0.3, decode_s=0.4),
        )
    )

    found = await series(http)

    assert 1 == found["stoker_requests_total", "ai/x", "200"]
    assert (10, 4, 5) == tuple(
        found[f"stoker_{kind}_tokens_total", "ai/x"] for kind in ("prompt", "cached", "completion")
    )
    assert 0.2 == found["stoker_queue_seconds_sum", "ai/x"]
    assert 1.0 == pytest.approx(found["stoker_time_to_first_token_seconds_sum", "ai/x"])
    assert 0.1 == pytest.approx(found["stoker_inter_token_seconds_sum", "ai/x"])
    assert 3.0 == found["stoker_request_seconds_sum", "ai/x"]


@pytest.mark.parametrize(
    ("error", "cancelled", "status"),
    [
        (OverloadedError("x", retry_after_s=1), False, "503"),
        (StokerError("x"), False, "500"),
        (None, True, "499"),
    ],
)
async def test_other_ends_have_their_status(
    http: httpx.AsyncClient,
    scripted: ScriptedHost,
    error: StokerError | None,
    cancelled: bool,
    status: str,
) -> None:
    """The status that the client saw, or that of a client which left."""
    scripted.telemetry.tell(ended(error=error, cancelled=cancelled))

    assert 1 == (await series(http))["stoker_requests_total", "ai/x", status]


async def test_names_that_are_not_here_make_no_series(
    http: httpx.AsyncClient, scripted: ScriptedHost
) -> None:
    """Else anybody could fill the memory with made-up names."""
    scripted.telemetry.tell(ended(None, error=StokerError("x")))

    found = await series(http)

    assert 1 == found["stoker_requests_total", "unknown", "500"]
    assert ("stoker_request_seconds_count", "unknown") not in found


async def test_loads_and_unloads(http: httpx.AsyncClient, scripted: ScriptedHost) -> None:
    """Each with how it went or why."""
    scripted.telemetry.tell(LoadRecord("ai/x", "b", 1.5))
    scripted.telemetry.tell(LoadRecord("ai/x", "b", 1.5, StokerError("x")))
    scripted.telemetry.tell(UnloadRecord("ai/x", "b", UnloadReason.EVICTED))

    found = await series(http)

    assert (1, 1) == tuple(found["stoker_loads_total", "ai/x", end] for end in ("ok", "failed"))
    assert 1.5 == found["stoker_load_seconds_sum", "ai/x"]
    assert 1 == found["stoker_unloads_total", "ai/x", "evicted"]


async def test_the_moment_is_looked_up(
    http: httpx.AsyncClient, scripted: ScriptedHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Memory, sequences and who waits, as it is when somebody asks."""

    async def runners() -> list[RunnerStatus]:
        return [
            RunnerStatus(
                model="ai/x",
                digest=Digest.of(b""),
                backend="b",
                state=RunnerState.READY,
                pid=1,
                active_requests=3,
                context_length=100,
                devices=(),
                memory_bytes=None,
                expires_in_s=None,
                planned_bytes=7,
                running=2,
                waiting=("ann",),
            )
        ] * 2

    monkeypatch.setattr(scripted, "runners", runners)
    found = await series(http)

    assert 14 == found["stoker_model_memory_bytes", "b", "ai/x"]
    assert 4 == found["stoker_sequences_running", "b", "ai/x"]
    assert 2 == found["stoker_requests_waiting", "b", "ai/x"]


class TestWithKeys:
    @pytest.fixture
    def keys(self) -> KeyRing:
        """One key, which may not ask models."""
        return KeyRing([ApiKey("watch", hash_of("key"), frozenset({Scope.ADMIN}))])

    async def test_any_key_may_look(self, http: httpx.AsyncClient) -> None:
        """But nobody without one."""
        assert 401 == (await http.get("/metrics")).status_code
        headers = {"authorization": "Bearer key"}
        assert 200 == (await http.get("/metrics", headers=headers)).status_code


async def test_what_plugins_measure_is_shown(
    http: httpx.AsyncClient, scripted: ScriptedHost
) -> None:
    """Families of each kind stand beside the server's own; an empty one harms nothing."""
    label = {"bird": 'Polly "the loud"'}
    scripted.measured = (
        MetricFamily("crackers", MetricKind.COUNTER, "Eaten.", (Sample(3, label),)),
        MetricFamily("feathers", MetricKind.GAUGE, "Left.", (Sample(7),)),
        MetricFamily(
            "flight_seconds",
            MetricKind.HISTOGRAM,
            "Flights.",
            (Distribution(((0.5, 1), (2, 3)), 9.5, 4, label),),
        ),
        MetricFamily("eggs", MetricKind.GAUGE, "None yet.", ()),
    )

    found = await series(http)

    assert (3, 7) == (found["crackers_total", label["bird"]], found["feathers",])
    assert {"0.5": 1, "2.0": 3, "+Inf": 4} == {
        key[-1]: value for key, value in found.items() if key[0] == "flight_seconds_bucket"
    }
    assert (4, 9.5) == (
        found["flight_seconds_count", label["bird"]],
        found["flight_seconds_sum", label["bird"]],
    )
    assert not [key for key in found if key[0].startswith("eggs")]
