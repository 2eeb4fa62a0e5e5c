"""Writing: one line of JSON per event, into a file that does not grow for ever."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import msgspec

from stoker.listener import Listener
from stoker.telemetry import LoadRecord, Record, RequestRecord, UnloadRecord

FILE = "events.jsonl"
OLD_FILE = "events.1.jsonl"


class Recorder(Listener):
    """Appends to a file. One thread calls it, so it needs no lock."""

    def __init__(self, directory: Path, *, max_bytes: int) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self._path = directory / FILE
        self._old_path = directory / OLD_FILE
        self._max_bytes = max_bytes
        self._file = self._path.open("ab")

    def hear(self, event: Record) -> None:
        """Write a line; events of other kinds are left out."""
        fields = _fields(event)
        if fields is None:
            return
        self._file.write(msgspec.json.encode({"time_s": round(time.time(), 3), **fields}) + b"\n")
        # So that whoever reads the file sees it, and a crash loses nothing.
        self._file.flush()
        if self._file.tell() > self._max_bytes:
            self._file.close()
            self._path.replace(self._old_path)
            self._file = self._path.open("ab")

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def _fields(event: Record) -> dict[str, Any] | None:
    match event:
        case RequestRecord():
            return {
                "event": "request",
                "id": event.context.id,
                "caller": event.context.caller.name,
                "model": event.model,
                "outcome": outcome_of(event),
                "total_s": round(event.total_s, 4),
                "queue_s": round(event.queue_s, 4),
                "prompt_tokens": event.usage.prompt_tokens if event.usage else 0,
                "completion_tokens": event.usage.completion_tokens if event.usage else 0,
            }
        case LoadRecord():
            failed = type(event.error).__name__ if event.error else "ok"
            return {
                "event": "load",
                "model": event.model,
                "backend": event.backend,
                "outcome": failed,
                "load_s": round(event.load_s, 4),
            }
        case UnloadRecord():
            return {"event": "unload", "model": event.model, "reason": event.reason.value}
    return None


def outcome_of(event: RequestRecord) -> str:
    """How a request ended, in a word."""
    if event.cancelled:
        return "cancelled"
    return type(event.error).__name__ if event.error else "ok"
