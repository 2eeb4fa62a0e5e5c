"""The transport seam: how requests reach the application."""

from __future__ import annotations

import abc
from collections.abc import Callable, Sequence
from typing import Protocol

import attrs
import msgspec

from stoker.backend import Availability, NoOptions, always_available
from stoker.dialect import Dialect
from stoker.host import Host
from stoker.keys import NO_KEYS, KeyRing


class Started(Protocol):
    """Called by a transport once it accepts requests."""

    def __call__(self, address: str, /) -> None:
        """Announce it.

        Args:
            address: For people, and complete: `http://127.0.0.1:12434`.
        """


class Transport(abc.ABC):
    """Serves requests until it is cancelled."""

    @abc.abstractmethod
    async def serve(self, host: Host, started: Started) -> None:
        """Serve on the application's event loop until the task is cancelled.

        Runs beside other transports; installs no signal handlers. On cancellation it stops
        accepting, ends what runs within a few seconds, and returns or lets the cancellation out.

        Raises:
            AddressInUseError: Somebody else listens there.
        """


@attrs.frozen
class TransportContext:
    """What a transport is made with."""

    options: msgspec.Struct
    """An instance of the record's `options_type`."""
    dialects: Sequence[Dialect]
    """All registered dialects, sorted by name."""
    keys: KeyRing = NO_KEYS
    """Tells who asks. A transport asks it about every request, also when it carries no key."""


@attrs.frozen
class TransportSpec:
    """A transport plugin's record."""

    name: str
    factory: Callable[[TransportContext], Transport]
    probe: Callable[[], Availability] = always_available
    options_type: type[msgspec.Struct] = NoOptions
    priority: int = 0
    """The one with the largest is the main one: `stoker serve --host --port` are for it."""
    by_default: bool = True
    """Whether `stoker serve` starts it unasked; else it wants `--transport` or `[serve]`."""
