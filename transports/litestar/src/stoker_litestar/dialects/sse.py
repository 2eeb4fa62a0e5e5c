"""Server-sent events: the one place that frames them.

The format: https://html.spec.whatwg.org/multipage/server-sent-events.html#event-stream-interpretation
"""

from __future__ import annotations

CONTENT_TYPE = "text/event-stream; charset=utf-8"

DATA_START = b"data: "
EVENT_END = b"\n\n"


def event(data: bytes) -> bytes:
    """Frame one event.

    Args:
        data: The event's data without line breaks, as JSON on the wire has none.
    """
    return DATA_START + data + EVENT_END
