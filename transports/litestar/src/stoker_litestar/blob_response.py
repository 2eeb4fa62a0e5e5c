"""Files as response bodies, read piece by piece in worker threads."""

from __future__ import annotations

import asyncio
import logging
from http import HTTPStatus
from pathlib import Path
from typing import BinaryIO

import attrs
from litestar.types import Receive, Scope, Send

from stoker_litestar.byte_range import ByteRange

_log = logging.getLogger(__name__)

_CHUNK_BYTES = 1024 * 1024


@attrs.frozen
class BlobResponse:
    """A file or a part of it, as an ASGI application."""

    path: Path
    size_bytes: int
    """Of the whole file."""
    part: ByteRange | None
    """None sends the whole file."""
    head: bool
    """Send the headers alone."""
    headers: dict[str, str]
    write_timeout_s: float

    async def __call__(self, _scope: Scope, _receive: Receive, send: Send) -> None:
        """Send it.

        Raises:
            OSError: The file cannot be opened; nothing was sent.
        """
        part = self.part or ByteRange(0, self.size_bytes)
        status = HTTPStatus.PARTIAL_CONTENT if self.part else HTTPStatus.OK
        headers = self.headers | {"content-length": str(part.size_bytes)}
        if self.part:
            headers["content-range"] = part.content_range(self.size_bytes)
        encoded = [(name.encode(), value.encode()) for name, value in headers.items()]
        # Opened before the first byte is sent: a file that cannot be read is a clean error.
        file = await asyncio.to_thread(self._open, part.start)
        try:
            await send({"type": "http.response.start", "status": status, "headers": encoded})
            if self.head:
                await self._send(send, b"", more=False)
            else:
                await self._send_file(send, file, part.size_bytes)
        except (OSError, EOFError) as exc:
            # TimeoutError is an OSError. The headers are out, so the connection breaks off.
            _log.warning("%s was not sent whole: %r", self.path, exc)
        finally:
            file.close()

    def _open(self, position: int) -> BinaryIO:
        file = self.path.open("rb")
        file.seek(position)
        return file

    async def _send_file(self, send: Send, file: BinaryIO, left_bytes: int) -> None:
        while True:
            data = await asyncio.to_thread(file.read, min(_CHUNK_BYTES, left_bytes))
            left_bytes -= len(data)
            if left_bytes and not data:
                raise EOFError("it became shorter meanwhile")
            await self._send(send, data, more=left_bytes > 0)
            if not left_bytes:
                return

    async def _send(self, send: Send, data: bytes, *, more: bool) -> None:
        async with asyncio.timeout(self.write_timeout_s):
            await send({"type": "http.response.body", "body": data, "more_body": more})
