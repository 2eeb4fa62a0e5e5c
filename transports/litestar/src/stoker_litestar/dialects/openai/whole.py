"""Answers that come whole: one JSON object when everything is there."""

from __future__ import annotations

import abc

import msgspec

from stoker.dialect import ResponseEncoder
from stoker.events import Event, Failed, Finished, Usage
from stoker_litestar.dialects.openai.error import error_object
from stoker_litestar.dialects.openai.wire.encoder import encode


class WholeEncoder(ResponseEncoder):
    """Collects what the events bring, and makes one JSON object of it at the end."""

    content_type = "application/json"

    def feed(self, event: Event) -> bytes:
        """Collect; the last event brings everything."""
        match event:
            case Finished(usage):
                return encode(self.whole(usage))
            case Failed(error):
                return error_object(error)
            case _:
                self.take(event)
                return b""

    @abc.abstractmethod
    def take(self, event: Event) -> None:
        """Keep what an event brings; most bring nothing."""

    @abc.abstractmethod
    def whole(self, usage: Usage) -> msgspec.Struct:
        """The answer, after the last event."""
