"""What stoker reads of this transport: its record. It has no options."""

from __future__ import annotations

from collections.abc import Iterable

import stoker
from stoker.transport import Transport, TransportContext, TransportSpec


def make_transport(context: TransportContext) -> Transport:
    """Make the transport, on the process's own input and output."""
    from stoker_stdio.transport import StdioTransport  # noqa: PLC0415 - only servers need it

    del context
    return StdioTransport()


@stoker.hookimpl
def stoker_register_transports() -> Iterable[TransportSpec]:
    """Offer the transport. It is for those who start a server for themselves, and ask for it."""
    return [TransportSpec(name="stdio", factory=make_transport, priority=-100, by_default=False)]
