"""`stoker recorded`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import attrs
import click
import msgspec

from stoker_recorder.recorder import FILE, OLD_FILE


@attrs.define
class ModelSummary:
    """What was asked of one model."""

    model: str
    requests: int = 0
    failed: int = 0
    completion_tokens: int = 0
    total_s: float = 0.0


def read(directory: Path) -> Iterator[dict[str, Any]]:
    """All events that are kept, the oldest first; a line that was cut off is left out."""
    for path in (directory / OLD_FILE, directory / FILE):
        if path.is_file():
            for line in path.read_bytes().splitlines():
                try:
                    yield msgspec.json.decode(line, type=dict[str, Any])
                except msgspec.DecodeError:
                    continue


def sum_up(events: Iterable[dict[str, Any]]) -> list[ModelSummary]:
    """One summary per model, by name."""
    found: dict[str, ModelSummary] = {}
    for event in events:
        if event.get("event") == "request":
            name = event.get("model") or "unknown"
            summary = found.setdefault(name, ModelSummary(name))
            summary.requests += 1
            summary.failed += event["outcome"] != "ok"
            summary.completion_tokens += event["completion_tokens"]
            summary.total_s += event["total_s"]
    return [found[name] for name in sorted(found)]


@click.command("recorded")
@click.option("--json", "as_json", is_flag=True, help="Print it as JSON.")
@click.pass_obj
def command(invocation: Any, *, as_json: bool) -> None:
    """Sum up the requests that were recorded."""
    home: Path = invocation.application().settings.home
    found = sum_up(read(home / "listeners" / "recorder"))
    if as_json:
        rows = [attrs.asdict(summary) for summary in found]
        click.echo(msgspec.json.format(msgspec.json.encode(rows), indent=2))
        return
    for summary in found:
        click.echo(
            f"{summary.model}: {summary.requests} requests, {summary.failed} failed,"
            f" {summary.completion_tokens} tokens, {summary.total_s:.1f} s"
        )
    if not found:
        click.echo("nothing was recorded", err=True)
