"""The log of requests: one record each, at its end, with its id and no word of its text."""

from __future__ import annotations

import logging
from typing import Any

from stoker.telemetry import Record, RequestRecord

_log = logging.getLogger("stoker.requests")


def log_record(record: Record) -> None:
    """Log a request; loads and unloads are logged where they happen."""
    if not isinstance(record, RequestRecord) or not _log.isEnabledFor(logging.INFO):
        return
    fields = request_fields(record)
    text = " ".join(f"{name}={value}" for name, value in fields.items())
    _log.info("%s", text, extra={"fields": fields})


def request_fields(record: RequestRecord) -> dict[str, Any]:
    """What is logged of a request; what is unknown is left out."""
    if record.cancelled:
        outcome = "cancelled"
    else:
        outcome = "ok" if record.error is None else type(record.error).__name__
    usage = record.usage
    fields: dict[str, Any] = {
        "request_id": record.context.id,
        "caller": record.context.caller.name,
        "model": record.model,
        "outcome": outcome,
        "total_s": record.total_s,
        "queue_s": record.queue_s,
        "load_s": record.load_s,
        "first_token_s": record.first_token_s,
        "prompt_tokens": usage and usage.prompt_tokens,
        "cached_tokens": usage and usage.cached_tokens,
        "completion_tokens": usage and usage.completion_tokens,
    }
    return {
        name: round(value, 4) if isinstance(value, float) else value
        for name, value in fields.items()
        if value is not None
    }
