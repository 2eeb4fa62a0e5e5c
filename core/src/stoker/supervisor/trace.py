"""A trace: what becomes of one request on its way through the supervisor."""

from __future__ import annotations

import asyncio

import attrs

from stoker.caller import RequestContext
from stoker.errors import StokerError
from stoker.events import Failed, Finished
from stoker.telemetry import RequestRecord


def _now_s() -> float:
    return asyncio.get_running_loop().time()


@attrs.define
class Trace:
    """Notes that are made while a request is answered. Made when it arrives."""

    context: RequestContext
    model: str | None = None
    started_s: float = attrs.field(factory=_now_s)
    queue_s: float = 0.0
    load_s: float = 0.0
    end: Finished | Failed | None = None
    """The last event; None while there is none, and for ever when the client leaves."""

    @property
    def deadline_s(self) -> float:
        """The event loop's time when the request is to be given up; infinite without a bound."""
        timeout_s = self.context.timeout_s
        return float("inf") if timeout_s is None else self.started_s + timeout_s

    def loaded(self) -> None:
        """The model is there now."""
        self.load_s = _now_s() - self.started_s

    def admitted(self) -> None:
        """It is the request's turn now."""
        self.queue_s = _now_s() - self.started_s - self.load_s

    def failed(self, error: StokerError) -> Failed:
        """Note the end, and give it as an event."""
        self.end = Failed(error)
        return self.end

    def record(self) -> RequestRecord:
        """What there is to tell, at the end."""
        end = self.end
        return RequestRecord(
            context=self.context,
            model=self.model,
            total_s=_now_s() - self.started_s,
            queue_s=self.queue_s,
            load_s=self.load_s,
            usage=end.usage if isinstance(end, Finished) else None,
            timings=end.timings if isinstance(end, Finished) else None,
            error=end.error if isinstance(end, Failed) else None,
            cancelled=end is None,
        )
