"""An adapter for `requests` that waits for headers no longer than its timeout, all in all.

The timeout of a socket holds for one read of it. A registry that sends its headers byte by byte
would never meet one, and could keep us for ever.
"""

from __future__ import annotations

import http.client
import io
import socket
import time
from typing import Any, cast

import requests.adapters
import urllib3
import urllib3.connection


class _Head:
    """The headers of an answer as `http.client` reads them, line by line, up to a moment."""

    def __init__(self, file: io.BufferedReader, sock: socket.socket) -> None:
        self._file = file
        self._sock = sock
        self._timeout_s = sock.gettimeout()
        self._started_s = time.monotonic()

    def readline(self, limit_bytes: int) -> bytes:
        """Read a line, at most so many bytes of it.

        Raises:
            TimeoutError: It did not come in time.
        """
        line = b""
        while len(line) < limit_bytes and not line.endswith(b"\n"):
            self._set_timeout()
            # This reads the socket once at most.
            waiting = self._file.peek()
            if not waiting:
                break
            end = waiting.find(b"\n") + 1 or len(waiting)
            line += self._file.read(min(end, limit_bytes - len(line)))
        return line

    def _set_timeout(self) -> None:
        if self._timeout_s is not None:
            left_s = self._started_s + self._timeout_s - time.monotonic()
            if left_s <= 0:
                raise TimeoutError("the headers did not come in time")
            self._sock.settimeout(left_s)

    def close(self) -> None:
        """Close the file, as `http.client` does after an answer that is none."""
        self._file.close()

    def end(self) -> None:
        """Let the reads of a body have the timeout each."""
        self._sock.settimeout(self._timeout_s)


class _PromptResponse(http.client.HTTPResponse):
    """An answer whose headers come in time."""

    def __init__(self, sock: socket.socket, *args: Any, **kwargs: Any) -> None:
        super().__init__(sock, *args, **kwargs)
        self._sock = sock

    def begin(self) -> None:
        """Read the headers."""
        file = self.fp
        head = _Head(file, self._sock)
        self.fp = cast("io.BufferedReader", head)
        try:
            super().begin()
        finally:
            head.end()
            # There is none after an answer that is none.
            if self.fp is not None:
                self.fp = file


class _Connection(urllib3.connection.HTTPConnection):
    response_class = _PromptResponse


class _TlsConnection(urllib3.connection.HTTPSConnection):
    response_class = _PromptResponse


class _Pool(urllib3.HTTPConnectionPool):
    ConnectionCls = _Connection


class _TlsPool(urllib3.HTTPSConnectionPool):
    ConnectionCls = _TlsConnection


_POOLS = {"http": _Pool, "https": _TlsPool}


class PromptAdapter(requests.adapters.HTTPAdapter):
    """The adapter. A SOCKS proxy's connections are of another kind, and stay what they are."""

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        """Make the pools of direct connections; `requests` calls this."""
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = _POOLS

    def proxy_manager_for(self, *args: Any, **kwargs: Any) -> Any:
        """Make the pools of connections through a proxy; `requests` calls this."""
        manager = super().proxy_manager_for(*args, **kwargs)
        if type(manager) is urllib3.ProxyManager:
            manager.pool_classes_by_scheme = _POOLS
        return manager
