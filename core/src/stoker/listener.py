"""The listener seam: hearing what happens to requests and models.

A listener gets one frozen event for each thing that happened, never one per token; the events are
the records of `stoker.telemetry`. It runs in a thread of its own, beside everything else: one that
is slow misses events, which is logged, and one that raises loses nothing but that event.
"""

from __future__ import annotations

import abc
from collections.abc import Callable
from pathlib import Path

import attrs
import msgspec

from stoker.backend import NoOptions
from stoker.telemetry import Record


class Listener(abc.ABC):
    """Hears events. All calls come from one thread, one after another, in the events' order."""

    @abc.abstractmethod
    def hear(self, event: Record) -> None:
        """Take an event. May block; new event types may come, so ignore what you do not know."""

    def close(self) -> None:  # noqa: B027 - many have nothing to close
        """The server ends; called once, after the last event. May take a second or two."""


@attrs.frozen
class ListenerContext:
    """What a listener is made with."""

    directory: Path
    """The listener's own folder; it may not exist yet."""
    options: msgspec.Struct
    """An instance of the record's `options_type`."""


@attrs.frozen
class ListenerSpec:
    """A listener plugin's record."""

    name: str
    """As users write it in the config (`[listeners.NAME]`) and see it in `stoker plugins`."""
    factory: Callable[[ListenerContext], Listener]
    """Called in the listener's thread when the server starts; one that raises is logged."""
    options_type: type[msgspec.Struct] = NoOptions
