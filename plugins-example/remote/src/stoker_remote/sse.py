"""Server-sent events, as far as this API uses them: one line of data each.

https://html.spec.whatwg.org/multipage/server-sent-events.html#parsing-an-event-stream
"""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator

from stoker.errors import UnavailableError

MAX_LINE_BYTES = 1024 * 1024
DATA = b"data:"


async def data_of(chunks: AsyncIterable[bytes]) -> AsyncIterator[bytes]:
    """The data of each event, however the stream is cut.

    Raises:
        UnavailableError: A line is longer than any server has reason to write.
    """
    rest = b""
    async for chunk in chunks:
        *lines, rest = (rest + chunk).split(b"\n")
        if len(rest) > MAX_LINE_BYTES:
            raise UnavailableError(f"A line of the answer has more than {MAX_LINE_BYTES} bytes.")
        for line in lines:
            if line.startswith(DATA):
                yield line.removeprefix(DATA).strip()
