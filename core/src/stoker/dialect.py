"""The dialect seam: a wire API as pure functions, mounted by any transport that can carry it.

A dialect knows bytes, requests and events. It does not know HTTP frameworks, status codes,
models or time: the same input always gives the same output, so golden streams test it.
"""

from __future__ import annotations

import abc
from collections.abc import Callable, Sequence

import attrs

from stoker.errors import StokerError
from stoker.events import Event
from stoker.host import ModelCard
from stoker.request import Request


class ResponseEncoder(abc.ABC):
    """Turns the events of one request into the bytes of its response.

    Made anew per request, used by one task.
    """

    content_type: str
    """Of the whole response."""

    @abc.abstractmethod
    def feed(self, event: Event) -> bytes:
        """Take the next event; return what can be sent now, often nothing.

        `Failed` is fed only when bytes may have been sent already: the dialect's in-band error
        comes back. Before that the transport answers with `Dialect.encode_error`.
        """


@attrs.frozen
class ResponseContext:
    """What an encoder may say that does not follow from events; fixed in tests."""

    id: str
    """Unique; letters, digits and `-` only."""
    created_s: int
    """Seconds since the epoch."""


@attrs.frozen
class Call:
    """A decoded request."""

    request: Request
    stream: bool
    """Whether the client wants the answer piece by piece."""
    encoder: Callable[[ResponseContext], ResponseEncoder]


@attrs.frozen
class AnswerRoute:
    """`POST path`: answers a request, piece by piece or at once."""

    path: str
    decode: Callable[[bytes], Call]
    """Raises `InvalidRequestError` that names the field; every known field is honoured,
    refused or a documented no-op."""


@attrs.frozen
class ModelsRoute:
    """`GET path`: lists the models."""

    path: str
    encode: Callable[[Sequence[ModelCard]], bytes]


@attrs.frozen
class ModelRoute:
    """`GET path/NAME`: describes one model; the name may contain slashes."""

    path: str
    encode: Callable[[ModelCard], bytes]


Route = AnswerRoute | ModelsRoute | ModelRoute


@attrs.frozen
class Dialect:
    """A wire API. All its bodies are JSON."""

    routes: tuple[Route, ...]
    encode_error: Callable[[StokerError, int], bytes]
    """The error object for an error and the HTTP status that goes with it."""


@attrs.frozen
class DialectSpec:
    """A dialect plugin's record."""

    name: str
    factory: Callable[[], Dialect]
    """Called when a transport mounts it; imports what it needs."""
