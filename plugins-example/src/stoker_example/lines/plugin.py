"""What stoker reads of this transport: its options and its record.

Keep this module cheap: a transport on a web framework imports the framework in its factory.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated

import msgspec

import stoker
from stoker.transport import Transport, TransportContext, TransportSpec


class LinesOptions(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The `[transports.lines]` table of the config; stoker decodes and checks it."""

    port: Annotated[int, msgspec.Meta(ge=0, le=65535)] = 0
    """TCP port on 127.0.0.1; 0 takes any that is free."""


def make_transport(context: TransportContext) -> Transport:
    """Make the transport. `context.dialects` is for transports that speak HTTP."""
    from stoker_example.lines.transport import LinesTransport  # noqa: PLC0415

    options = msgspec.convert(context.options, LinesOptions, from_attributes=True)
    return LinesTransport(port=options.port, keys=context.keys)


@stoker.hookimpl
def stoker_register_transports() -> Iterable[TransportSpec]:
    """Offer the transport."""
    return [TransportSpec(name="lines", factory=make_transport, options_type=LinesOptions)]
