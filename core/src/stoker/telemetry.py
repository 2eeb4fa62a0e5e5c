"""Telemetry: what happened, told once to whoever listens.

Nothing here is called per token. Listeners of the core and of transports (metrics, the log) are
called on the event loop and return at once; those of plugins (`stoker.listener`) have threads.
"""

from __future__ import annotations

import enum
import logging
from collections.abc import Callable

import attrs

from stoker.caller import RequestContext
from stoker.errors import StokerError
from stoker.events import Timings, Usage

_log = logging.getLogger(__name__)


@attrs.frozen
class RequestStart:
    """A request has arrived; a `RequestRecord` with the same context tells of its end."""

    context: RequestContext
    asked_model: str
    """As the client named it; it need not exist."""


@attrs.frozen
class RequestRecord:
    """A request that has come to its end, whatever the end was."""

    context: RequestContext
    model: str | None
    """The model's familiar name; None when the request named none that is here."""
    total_s: float
    queue_s: float = 0.0
    """How long it waited for its turn."""
    load_s: float = 0.0
    """How long it waited for its model."""
    usage: Usage | None = None
    """None when it was not answered."""
    timings: Timings | None = None
    error: StokerError | None = None
    cancelled: bool = False
    """The client left before the end."""

    @property
    def first_token_s(self) -> float | None:
        """From the request's arrival to its first token; None when it was not answered."""
        if self.timings is None:
            return None
        return self.queue_s + self.load_s + self.timings.prefill_s

    @property
    def inter_token_s(self) -> float | None:
        """Between two tokens on average; None with less than two."""
        if self.usage is None or self.timings is None or self.usage.completion_tokens < 2:  # noqa: PLR2004 - it takes two to be apart
            return None
        return self.timings.decode_s / (self.usage.completion_tokens - 1)


@attrs.frozen
class LoadRecord:
    """A model was loaded, or failed to be."""

    model: str
    backend: str
    load_s: float
    error: StokerError | None = None


class UnloadReason(enum.StrEnum):
    """Why a model is not loaded any more."""

    ASKED = "asked"
    """Somebody stopped it, or the server ends."""
    IDLE = "idle"
    EVICTED = "evicted"
    """Another model needed its memory."""
    CRASHED = "crashed"


@attrs.frozen
class UnloadRecord:
    """A loaded model is gone."""

    model: str
    backend: str
    reason: UnloadReason


Record = RequestStart | RequestRecord | LoadRecord | UnloadRecord
Listener = Callable[[Record], None]


class Telemetry:
    """Takes records and hands them on. Used on the event loop only."""

    def __init__(self) -> None:
        self._listeners: list[Listener] = []

    def listen(self, listener: Listener) -> Callable[[], None]:
        """Hear of everything from now on; what comes back ends that."""
        self._listeners.append(listener)
        return lambda: self._listeners.remove(listener)

    def tell(self, record: Record) -> None:
        """Hand a record on. A listener that fails is logged and harms nobody."""
        for listener in tuple(self._listeners):
            try:
                listener(record)
            except Exception:  # noqa: BLE001 - it is logged, and the request must not suffer
                _log.exception("A listener of the telemetry failed")
