"""The runner's end of the socket: never blocks while the engine has work."""

from __future__ import annotations

import contextlib
import select
import socket
from typing import TYPE_CHECKING

from stoker.errors import BrokenFrameError
from stoker.wire.frames import FrameReader, FromRunner, ToRunner, encode_frame

if TYPE_CHECKING:
    from collections.abc import Sequence

MAX_UNSENT_BYTES = 64 * 1024 * 1024
"""A supervisor that lets this much pile up does not read any more: the runner ends."""

_CHUNK = 256 * 1024


class PeerGoneError(Exception):
    """The supervisor closed the socket."""


class Channel:
    """Frames in and out over a non-blocking socket. Used by the loop's thread only."""

    def __init__(self, connection: socket.socket) -> None:
        self._socket = connection
        self._socket.settimeout(0)
        self._reader: FrameReader[ToRunner] = FrameReader(ToRunner)
        self._unsent = bytearray()
        # Not `select`, which knows no descriptor over 1023: a server of many clients has more.
        self._poll = select.poll()
        self._wanted = select.POLLIN
        self._poll.register(connection, self._wanted)

    def send(self, frame: FromRunner) -> None:
        """Send a frame, or keep what the socket does not take now for the next call.

        Raises:
            PeerGoneError: Nobody is at the other end.
            BrokenFrameError: The other end does not read.
        """
        self._unsent += encode_frame(frame)
        self._flush()

    def receive(self, timeout_s: float | None) -> Sequence[ToRunner]:
        """Return the frames that have come, waiting for the first one.

        Args:
            timeout_s: How long to wait: 0 only looks, None waits for ever. (For ever is right
                for an idle runner: when the supervisor goes away, the socket becomes readable.)

        Raises:
            PeerGoneError: Nobody is at the other end.
        """
        self._flush()
        wanted = select.POLLIN | select.POLLOUT if self._unsent else select.POLLIN
        if wanted != self._wanted:
            self._wanted = wanted
            self._poll.modify(self._socket, wanted)
        found = self._poll.poll(None if timeout_s is None else timeout_s * 1000)
        came = found[0][1] if found else 0
        if came & select.POLLOUT:
            self._flush()
        # A hang-up and an error show when it is read.
        if not came & ~select.POLLOUT:
            return ()
        try:
            data = self._socket.recv(_CHUNK)
        except BlockingIOError:
            return ()
        except OSError as exc:
            raise PeerGoneError from exc
        if not data:
            raise PeerGoneError
        return self._reader.feed(data)

    def finish(self, timeout_s: float) -> None:
        """Send what is left, for at most so long, and close."""
        self._socket.settimeout(timeout_s)
        # When the supervisor is gone or does not read, there is nobody to tell.
        with contextlib.suppress(OSError):
            self._socket.sendall(self._unsent)
        self._socket.close()

    def _flush(self) -> None:
        while self._unsent:
            try:
                sent = self._socket.send(self._unsent)
            except BlockingIOError:
                break
            except OSError as exc:
                raise PeerGoneError from exc
            del self._unsent[:sent]
        if len(self._unsent) > MAX_UNSENT_BYTES:
            raise BrokenFrameError("The supervisor does not read what its runner sends.")
