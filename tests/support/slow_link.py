"""A link in front of a server that is slow per connection, as links over a long way are."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Iterator

_CHUNK_BYTES = 64 * 1024
_TIMEOUT_S = 120.0


@contextlib.contextmanager
def slow_link(host: str, bytes_per_s: float) -> Iterator[str]:
    """Forward connections to `host`, each no faster than so much towards the client.

    Yields:
        The `host:port` of the slow end.
    """
    listener = socket.create_server(("127.0.0.1", 0))
    stopping = threading.Event()

    def accept() -> None:
        while not stopping.is_set():
            try:
                near, _ = listener.accept()
            except OSError:
                return
            far = socket.create_connection(_split(host), timeout=_TIMEOUT_S)
            near.settimeout(_TIMEOUT_S)
            for source, target, rate in ((near, far, None), (far, near, bytes_per_s)):
                threading.Thread(target=_pump, args=(source, target, rate), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    try:
        yield f"127.0.0.1:{listener.getsockname()[1]}"
    finally:
        stopping.set()
        listener.close()


def _split(host: str) -> tuple[str, int]:
    name, _, port = host.rpartition(":")
    return name, int(port)


def _pump(source: socket.socket, target: socket.socket, bytes_per_s: float | None) -> None:
    buffer = bytearray(_CHUNK_BYTES)
    due_s = time.monotonic()
    with contextlib.suppress(OSError):
        while size := source.recv_into(buffer):
            target.sendall(memoryview(buffer)[:size])
            if bytes_per_s is not None:
                # What was not used while nothing came is not made up for later.
                due_s = max(due_s, time.monotonic() - 0.05) + size / bytes_per_s
                time.sleep(max(due_s - time.monotonic(), 0.0))
    for end in (source, target):
        with contextlib.suppress(OSError):
            end.shutdown(socket.SHUT_RDWR)
