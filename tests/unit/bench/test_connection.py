"""The client of the benchmark of the APIs."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import pytest
from api_load.connection import AnswerError, Connection, post

HEAD = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
WHOLE = b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\n{}\r\n"


@asynccontextmanager
async def _connected(*pieces: bytes, close: bool = False) -> AsyncIterator[Connection]:
    """A connection to a server that answers each request with these pieces."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while await reader.read(1000):
            for piece in pieces:
                writer.write(piece)
                await writer.drain()
                await asyncio.sleep(0.01)
            if close:
                break
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        host, port = server.sockets[0].getsockname()
        connection = await Connection.open(f"http://{host}:{port}")
        try:
            yield connection
        finally:
            connection.close()
            await asyncio.sleep(0.02)


@pytest.mark.parametrize(
    "pieces",
    [
        [WHOLE],
        [WHOLE[:10], WHOLE[10:]],
        [HEAD, b"9\r\ndata: a\n\n\r\n", b"0\r\n\r\n"],
    ],
    ids=["whole", "in pieces", "chunks"],
)
async def test_an_answer_is_read_to_its_end(pieces: Sequence[bytes]) -> None:
    """And the next one over the same connection."""
    async with _connected(*pieces) as connection:
        request = post("http://127.0.0.1", "/", {})
        times = [await connection.ask(request, limit_s=5) for _ in range(2)]

    assert all(0.01 * (len(pieces) - 1) <= took_s < 5 for took_s in times)


async def test_comments_are_counted() -> None:
    """They are what keeps a silent stream alive."""
    async with _connected(
        HEAD, b"8\r\n: one\n\n\n\r\n", b"6\r\n: two\n\r\n0\r\n\r\n"
    ) as connection:
        await connection.ask(b"x", limit_s=5)

    assert 2 == connection.comments


@pytest.mark.parametrize(
    ("pieces", "words"),
    [
        ([WHOLE.replace(b"200 OK", b"503 No")], "503 No"),
        ([HEAD, b'12\r\ndata: {"error":{}}\r\n0\r\n\r\n'], '"error"'),
        ([HEAD], "was closed"),
    ],
)
async def test_what_is_no_answer_is_an_error(pieces: Sequence[bytes], words: str) -> None:
    """Nobody measures how quickly a server says no."""
    async with _connected(*pieces, close=True) as connection:
        with pytest.raises(AnswerError, match=words):
            await connection.ask(b"x", limit_s=5)
