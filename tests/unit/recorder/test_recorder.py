"""The recorder: what is written, what is kept, and what is summed up."""

from __future__ import annotations

import json
from pathlib import Path

from stoker.caller import LOCAL, Caller, RequestContext
from stoker.errors import OverloadedError
from stoker.events import Usage
from stoker.metrics import Sample
from stoker.telemetry import LoadRecord, RequestRecord, RequestStart, UnloadReason, UnloadRecord
from stoker_recorder.callers import CallerMetrics
from stoker_recorder.recorder import Recorder
from stoker_recorder.summary import ModelSummary, read, sum_up


def ended(model: str = "ai/x", **values: object) -> RequestRecord:
    """A request that has come to its end."""
    return RequestRecord(RequestContext(LOCAL), model, total_s=1.5, **values)  # type: ignore[arg-type]


def test_events_become_lines(tmp_path: Path) -> None:
    """Each end of a request, load and unload is one line, without a word of the texts."""
    recorder = Recorder(tmp_path / "new", max_bytes=100_000)
    recorder.hear(RequestStart(RequestContext(LOCAL), "ai/x"))
    recorder.hear(LoadRecord("ai/x", "parrot", 0.5))
    recorder.hear(ended(usage=Usage(3, 4)))
    recorder.hear(ended(error=OverloadedError("Full.", retry_after_s=1)))
    recorder.hear(ended(cancelled=True))
    recorder.hear(UnloadRecord("ai/x", "parrot", UnloadReason.IDLE))
    recorder.close()

    lines = (tmp_path / "new" / "events.jsonl").read_text().splitlines()
    events = [json.loads(line) for line in lines]
    assert ["load", "request", "request", "request", "unload"] == [e["event"] for e in events]
    assert ["ok", "ok", "OverloadedError", "cancelled"] == [
        event["outcome"] for event in events if "outcome" in event
    ]
    assert ("local", "ai/x", 3, 4) == tuple(
        events[1][key] for key in ("caller", "model", "prompt_tokens", "completion_tokens")
    )


def test_files_do_not_grow_for_ever(tmp_path: Path) -> None:
    """A full file is put aside, and one such is kept; reading begins with it."""
    recorder = Recorder(tmp_path, max_bytes=1024)
    for number in range(40):
        recorder.hear(ended(f"ai/{number}"))
    recorder.close()
    sizes = {path.name: path.stat().st_size for path in tmp_path.iterdir()}
    models = [event["model"] for event in read(tmp_path)]

    assert {"events.jsonl", "events.1.jsonl"} == set(sizes)
    assert max(sizes.values()) < 1500
    assert models == sorted(models, key=lambda name: int(name[3:]))
    assert "ai/39" == models[-1]


def test_requests_are_summed_up_by_model(tmp_path: Path) -> None:
    """A line that was cut off, and events of other kinds, are left out."""
    recorder = Recorder(tmp_path, max_bytes=100_000)
    recorder.hear(ended("b", usage=Usage(1, 5)))
    recorder.hear(ended("a"))
    recorder.hear(ended("b", cancelled=True))
    recorder.hear(UnloadRecord("a", "parrot", UnloadReason.IDLE))
    recorder.close()
    with (tmp_path / "events.jsonl").open("a") as file:
        file.write('{"event": "requ')

    assert [ModelSummary("a", 1, 0, 0, 1.5), ModelSummary("b", 2, 1, 5, 3.0)] == sum_up(
        read(tmp_path)
    )


def test_callers_are_counted() -> None:
    """Requests by caller and outcome, tokens by caller; addresses are all one caller."""
    metrics = CallerMetrics()
    metrics.hear(ended(usage=Usage(3, 4)))
    metrics.hear(ended(usage=Usage(1, 1)))
    metrics.hear(ended(cancelled=True))
    metrics.hear(LoadRecord("ai/x", "parrot", 0.5))
    for address in ("192.0.2.1", "192.0.2.2"):
        context = RequestContext(Caller(address, frozenset(), address))
        metrics.hear(RequestRecord(context, "ai/x", total_s=1.0))
    requests, tokens = metrics.families()

    assert {
        Sample(2, {"caller": "local", "outcome": "ok"}),
        Sample(1, {"caller": "local", "outcome": "cancelled"}),
        Sample(2, {"caller": "no key", "outcome": "ok"}),
    } == set(requests.samples)
    assert (Sample(9, {"caller": "local"}),) == tokens.samples
