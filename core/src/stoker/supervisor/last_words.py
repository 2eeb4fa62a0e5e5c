"""What a runner printed before it died: kept, bounded, for the error that follows."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable

_CHUNK = 64 * 1024
_MAX_LINES = 40
_MAX_LINES_A_PIECE = 500
"""More in one piece is a flood, which is not worth reading whole."""
_MAX_LINE_LENGTH = 2000


class LastWords:
    """Drains a process's output so that it never blocks, and keeps the last lines."""

    def __init__(self, log: Callable[[str], None] | None = None) -> None:
        """Begin with nothing.

        Args:
            log: Told of every line that is kept. Of a flood, those are the last lines of a piece.
        """
        self._log = log
        self._lines: deque[str] = deque(maxlen=_MAX_LINES)
        self._rest = b""

    async def drain(self, stream: asyncio.StreamReader) -> None:
        """Read until the process closes its output."""
        while chunk := await stream.read(_CHUNK):
            *lines, self._rest = (self._rest + chunk).split(b"\n")
            # A flood without line ends must not pile up.
            self._rest = self._rest[-_MAX_LINE_LENGTH:]
            for line in lines[-_MAX_LINES_A_PIECE:]:
                self._keep(line)
        self._keep(self._rest)

    def _keep(self, line: bytes) -> None:
        text = line[:_MAX_LINE_LENGTH].decode("utf-8", "replace").strip()
        if text:
            self._lines.append(text)
            if self._log is not None:
                self._log(text)

    @property
    def summary(self) -> str:
        """The last line that says something; empty when nothing was said."""
        return self._lines[-1] if self._lines else ""

    @property
    def lines(self) -> tuple[str, ...]:
        """All that was kept, oldest first."""
        return tuple(self._lines)
