"""The dialect seam: a wire API as pure functions, mounted by any transport that can carry it.

A dialect knows bytes, requests and events. It does not know HTTP frameworks, status codes,
models or time: the same input always gives the same output, so golden streams test it.
"""

from __future__ import annotations

import abc
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

import attrs

from stoker.archive import Record
from stoker.errors import StokerError
from stoker.events import Event
from stoker.host import ModelCard
from stoker.management import Command, CommandEvent
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

    @property
    def record(self) -> Record | None:
        """What the caller may want to come back to; None keeps nothing.

        Asked for once, after `Finished` was fed and before the client sees what came of it, so
        that no client can come back too early.
        """
        return None


@attrs.frozen
class ResponseContext:
    """What an encoder may say that does not follow from events; fixed in tests."""

    id: str
    """Unique; letters, digits and `-` only."""
    created_s: int
    """Seconds since the epoch."""
    archived: bool = False
    """Whether records are kept here."""


@attrs.frozen
class ErrorContext:
    """What goes with an error in the response that it becomes."""

    status: int
    """The response's."""
    request_id: str
    """By which the log names the request."""


@attrs.frozen
class Call:
    """A decoded request."""

    request: Request
    stream: bool
    """Whether the client wants the answer piece by piece."""
    encoder: Callable[[ResponseContext], ResponseEncoder]


class CommandEncoder(abc.ABC):
    """Turns the events of one command into the bytes of its response.

    Made anew per command, used by one task.
    """

    content_type: str
    """Of the whole response."""

    @abc.abstractmethod
    def feed(self, event: CommandEvent) -> bytes:
        """Take the next event; return what can be sent now, often nothing.

        `Failed` is fed as to a `ResponseEncoder`.
        """


@attrs.frozen
class CommandCall:
    """A decoded command."""

    command: Command
    stream: bool
    """Whether the client wants to hear of the progress."""
    encoder: Callable[[ResponseContext], CommandEncoder]


@attrs.frozen
class Continuation:
    """A decoded request that goes on from an earlier answer of the same caller."""

    record_id: str
    resume: Callable[[Record | None], Call]
    """Called with the record, or with None where there is none of this caller. Raises
    `InvalidRequestError` like `AnswerRoute.decode`."""


@attrs.frozen
class RouteDescription:
    """What a route takes and gives, for documents about the API.

    Types are msgspec's, as its JSON schemas are made of; None is any JSON object.
    """

    summary: str
    request: Any = None
    response: Any = None
    chunk: Any = None
    """What a stream is made of; None when the route has no streams of such."""
    chunk_type: str = "text/event-stream"
    """Of a stream: server-sent events with chunks as their data, or another type of chunks."""
    other_types: tuple[str, ...] = ()
    """In which the same is told to clients that do not ask for JSON."""
    notes: Mapping[str, str] = attrs.field(factory=dict, hash=False)
    """What is to be known of single fields of the request."""
    refused: frozenset[str] = frozenset()
    """Fields of the request that are an error whatever their value."""


@attrs.frozen
class AnswerRoute:
    """`POST path`: answers a request, piece by piece or at once.

    A segment `{backend}` in the path pins the request's backend: the transport does that.
    """

    path: str
    decode: Callable[[bytes], Call | CommandCall | Continuation]
    """Raises `InvalidRequestError` that names the field; every known field is honoured,
    refused or a documented no-op. A command is for APIs that load and unload by such requests."""
    description: RouteDescription | None = None


@attrs.frozen
class CommandQuery:
    """What a client sent to a `CommandRoute`."""

    name: str = ""
    """What stands in the place of `{name}` in the path."""
    body: bytes = b""
    query: Mapping[str, str] = attrs.field(factory=dict, hash=False)
    """What follows the path; of several values the last."""
    accept: str = ""
    """The content types that the client says it takes."""


@attrs.frozen
class CommandRoute:
    """`METHOD path`: carries out a command. One that gets also answers `HEAD`, without the body."""

    method: Literal["GET", "POST", "DELETE"]
    path: str
    """With a segment `{name}` it takes model names there, which may contain slashes. What a
    longer path says goes before what a shorter one says, so `/models/{name}/push` and
    `/models/{name}` can stand side by side."""
    decode: Callable[[CommandQuery], CommandCall]
    """Raises `InvalidRequestError` like that of an `AnswerRoute`."""
    creates: bool = False
    """Whether something new stands under a name of its own when it has succeeded."""
    description: RouteDescription | None = None


@attrs.frozen
class BlobRoute:
    """`HEAD path/DIGEST` tells whether a blob is here; `POST path/DIGEST` keeps the body as one."""

    path: str


@attrs.frozen
class RecordQuery:
    """A request for a record."""

    record: Record
    query: Mapping[str, str] = attrs.field(factory=dict, hash=False)
    """What follows the path; of several values the last."""


@attrs.frozen
class RecordRoute:
    """`METHOD path`: tells something of a record, where `{id}` in the path is its id.

    After a `DELETE` the record is gone. A caller sees its own records only.
    """

    method: Literal["GET", "POST", "DELETE"]
    path: str
    encode: Callable[[RecordQuery], bytes]
    """Raises `InvalidRequestError` that names a wrong part of the query."""
    description: RouteDescription | None = None


@attrs.frozen
class ModelsRoute:
    """`GET path`: lists the models. A segment `{backend}` may be anything."""

    path: str
    encode: Callable[[Sequence[ModelCard]], bytes]
    header: str | None = None
    """Only for requests that carry this header. So two dialects can share a path: the one that
    asks for a header goes before the one that asks for none."""
    description: RouteDescription | None = None


@attrs.frozen
class ModelRoute:
    """`GET path/NAME`: describes one model; the name may contain slashes."""

    path: str
    encode: Callable[[ModelCard], bytes]
    header: str | None = None
    """As with `ModelsRoute`."""
    description: RouteDescription | None = None


Route = AnswerRoute | CommandRoute | BlobRoute | RecordRoute | ModelsRoute | ModelRoute


@attrs.frozen
class Dialect:
    """A wire API."""

    routes: tuple[Route, ...]
    encode_error: Callable[[StokerError, ErrorContext], bytes]
    """The error object for an error, and what goes with it."""
    statuses: Mapping[type[StokerError], int] = attrs.field(factory=dict, hash=False)
    """HTTP statuses that this API gives to errors, where they are not the transport's own."""
    error_content_type: str = "application/json"
    """Of the bytes that `encode_error` makes."""
    error: Any = None
    """The type of what `encode_error` makes, as in a `RouteDescription`."""
    name: str = ""
    """As its `DialectSpec` says; the application fills it in."""


@attrs.frozen
class DialectSpec:
    """A dialect plugin's record."""

    name: str
    factory: Callable[[], Dialect]
    """Called when a transport mounts it; imports what it needs."""
