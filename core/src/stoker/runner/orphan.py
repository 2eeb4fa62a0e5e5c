"""A runner must not outlive its supervisor, not even one that was killed."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import socket
import threading

GRACE_S = 2.0
"""How long the loop may take to notice by itself and close the engine in order."""


def end_with_peer(connection: socket.socket) -> None:
    """End this process soon after the other end of a socket is closed.

    The loop notices that by itself when it next reads, but it may be in a native call for minutes
    (loading) or for ever (a hang). So a thread sleeps in `poll` until the peer hangs up; it costs
    nothing meanwhile.
    """
    threading.Thread(target=_watch, args=(connection.fileno(),), daemon=True).start()


def _watch(descriptor: int) -> None:
    poll = select.poll()
    # No events asked for: hang-up and error are always reported, data is not.
    poll.register(descriptor, 0)
    poll.poll()
    threading.Event().wait(GRACE_S)
    end_group()
    os._exit(1)


def end_group() -> None:
    """End this process and all that it started, unless it is part of somebody else's group."""
    if os.getpgrp() == os.getpid():
        with contextlib.suppress(OSError):
            os.killpg(os.getpid(), signal.SIGKILL)
