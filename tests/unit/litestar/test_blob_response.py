"""Files as response bodies."""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path
from typing import Any

import attrs
import pytest

from stoker_litestar.blob_response import BlobResponse

DATA = b"x" * 1_500_000


@pytest.fixture
def response(tmp_path: Path) -> BlobResponse:
    """A file of two pieces."""
    path = tmp_path / "blob"
    path.write_bytes(DATA)
    return BlobResponse(
        path=path,
        size_bytes=len(DATA),
        part=None,
        head=False,
        headers={},
        write_timeout_s=0.05,
    )


async def send_all(response: BlobResponse, *, reads: bool = True) -> list[Any]:
    """Send to a client that reads everything, or stops after the headers."""
    sent: list[Any] = []

    async def receive() -> Any:
        await asyncio.Event().wait()

    async def send(message: Any) -> None:
        if sent and not reads:
            await asyncio.Event().wait()
        sent.append(message)

    scope: Any = {"type": "http"}
    await response(scope, receive, send)
    return sent


async def test_a_file_is_sent_in_pieces(response: BlobResponse) -> None:
    """No piece is larger than what is read at once, and the last one is marked."""
    _, *bodies = await send_all(response)

    assert DATA == b"".join(body["body"] for body in bodies)
    assert [True, False] == [body["more_body"] for body in bodies]


async def test_a_file_that_became_shorter_breaks_off(
    response: BlobResponse, caplog: pytest.LogCaptureFixture
) -> None:
    """The response has no end, so the client can tell that bytes are missing."""
    with caplog.at_level(logging.WARNING):
        _, *bodies = await send_all(attrs.evolve(response, size_bytes=len(DATA) + 1))

    assert all(body["more_body"] for body in bodies)
    assert "became shorter" in caplog.text


async def test_a_client_that_does_not_read_is_given_up(
    response: BlobResponse, caplog: pytest.LogCaptureFixture
) -> None:
    """Sending is bounded in time."""
    with caplog.at_level(logging.WARNING):
        assert 1 == len(await send_all(response, reads=False))

    assert "not sent whole" in caplog.text


async def test_a_file_that_is_gone_is_an_error_before_anything_is_sent(
    response: BlobResponse,
) -> None:
    """The error can still become a status."""
    response.path.unlink()

    with pytest.raises(FileNotFoundError):
        await send_all(response)
