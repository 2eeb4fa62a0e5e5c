"""Server-sent events: the one place that frames them.

The format: https://html.spec.whatwg.org/multipage/server-sent-events.html#event-stream-interpretation
"""

from __future__ import annotations

from stoker.events import Loading, Queued

CONTENT_TYPE = "text/event-stream; charset=utf-8"

DATA_START = b"data: "
EVENT_END = b"\n\n"


def comment(text: str) -> bytes:
    """A line that clients ignore, and that keeps proxies from taking a stream for dead.

    Args:
        text: Without line breaks.
    """
    return b": " + text.encode() + EVENT_END


def waiting(event: Queued | Loading) -> bytes:
    """What a stream says of a request that waits."""
    if isinstance(event, Queued):
        return comment(f"queued, {event.position} before this one")
    if event.fraction is None:
        return comment(f"loading: {event.stage}")
    return comment(f"loading: {event.stage} {event.fraction:.0%}")


def event(data: bytes) -> bytes:
    """Frame one event.

    Args:
        data: The event's data without line breaks, as JSON on the wire has none.
    """
    return DATA_START + data + EVENT_END


def named_event(name: str, data: bytes) -> bytes:
    """Frame one event that has a name.

    Args:
        name: The event's type, for clients that tell events apart by it.
        data: As in `event`.
    """
    return b"event: " + name.encode() + b"\n" + DATA_START + data + EVENT_END
