"""Entry point of a runner process; see `stoker.runner`."""

from __future__ import annotations

import socket
import sys

from stoker.runner.channel import Channel
from stoker.runner.loop import ORPHANED, run
from stoker.runner.orphan import end_group, end_with_peer


def main() -> int:
    """Serve the supervisor at the other end of the socket until it says enough."""
    connection = socket.socket(fileno=int(sys.argv[1]))
    end_with_peer(connection)
    code = run(Channel(connection))
    if code == ORPHANED:
        # Nobody else would end what the engine started.
        end_group()
    return code


if __name__ == "__main__":
    sys.exit(main())
