"""The constant bytes around the choices of a stream's chunks, encoded once per request."""

from __future__ import annotations

import attrs
import msgspec

from stoker.events import Finished
from stoker_litestar.dialects import sse
from stoker_litestar.dialects.openai.wire.encoder import encode
from stoker_litestar.dialects.openai.wire.usage import TimingsObject, UsageObject
from stoker_litestar.dialects.sse import DATA_START, EVENT_END

# Cannot occur inside a JSON string, where the quotes would be escaped.
_CHOICES = b'"choices":[]'


@attrs.frozen
class ChunkFrame:
    """All of a chunk but its choice."""

    head: bytes
    tail: bytes

    @classmethod
    def around(cls, chunk: msgspec.Struct) -> ChunkFrame:
        """Make the frame from a chunk without choices."""
        head, choices, tail = encode(chunk).partition(_CHOICES)
        return cls(DATA_START + head + choices[:-1], choices[-1:] + tail + EVENT_END)

    def event(self, choice: msgspec.Struct) -> bytes:
        """A whole server-sent event with one choice."""
        return self.head + encode(choice) + self.tail


def stream_end(chunk: msgspec.Struct, event: Finished, *, include_usage: bool) -> bytes:
    """The last events of a stream: the usage, if it was asked for, and the end mark.

    Args:
        chunk: A chunk without choices.
        event: The request's last event.
        include_usage: Whether the request asked for the usage.
    """
    done = sse.event(b"[DONE]")
    if not include_usage:
        return done
    usage = msgspec.structs.replace(
        chunk,
        usage=UsageObject.from_domain(event.usage),
        timings=TimingsObject.from_domain(event.usage, event.timings),
    )
    return sse.event(encode(usage)) + done
