"""Reading recorded streams."""

from __future__ import annotations

import pytest
from comparison.client import Recording, read
from comparison.peer import PeerError

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
FIRST = b'data: {"choices": [{"text": "On"}]}\n\n'
SECOND = b'data: {"choices": [{"text": "ce", "finish_reason": "length"}]}\n\n'
USAGE = b'data: {"choices": [], "usage": {"completion_tokens": 2}}\n\n'
DONE = b"data: [DONE]\n\n"


def chunk(data: bytes) -> bytes:
    """A chunk of HTTP's transfer coding."""
    return b"%x\r\n%s\r\n" % (len(data), data)


def recording(*pieces: bytes) -> Recording:
    """Pieces that came a second apart."""
    return Recording(0.0, [(float(at), piece) for at, piece in enumerate(pieces, start=1)])


def test_an_event_counts_when_its_last_byte_came() -> None:
    """An event that comes in two pieces, or two events in one piece, have the right moments."""

    reading = read(
        recording(
            HEAD + chunk(FIRST[:9]),
            chunk(FIRST[9:]),
            chunk(SECOND) + chunk(USAGE + DONE) + b"0\r\n\r\n",
        )
    )

    assert (2.0, 3.0) == reading.texts_s
    assert ("Once", 2, "length") == (
        reading.text,
        reading.completion_tokens,
        reading.finish_reason,
    )


def test_events_without_text_are_not_counted() -> None:
    """What shows nothing to a reader is no token that came."""

    role = b'data: {"choices": [{"text": ""}]}\n\n'

    reading = read(recording(HEAD + chunk(role), chunk(FIRST), chunk(DONE) + b"0\r\n\r\n"))

    assert (2.0,) == reading.texts_s


@pytest.mark.parametrize(
    ("pieces", "expected"),
    [
        ([HEAD + chunk(FIRST)], "broke off"),
        ([HEAD + chunk(b'data: {"error": "out of memory"}\n\n' + DONE)], "out of memory"),
        ([HEAD + chunk(DONE)], "no text"),
        ([b"HTTP/1.1 400 Bad Request\r\nContent-Length: 3\r\n\r\nbad"], "bad"),
        ([], "no stream came"),
    ],
)
def test_a_failed_stream_is_an_error(pieces: list[bytes], expected: str) -> None:
    """A stream that ends early or in an error gives no figures."""

    with pytest.raises(PeerError, match=expected):
        read(recording(*pieces))
