"""The frame protocol: length-prefixed msgpack over a private stream socket.

Two conversations use it: supervisor and runner, and the command line and a running server. A
frame is four bytes of length, big-endian, and one tagged Struct. Both ends are the same version of
stoker, so there is no negotiation.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import Any, Generic, TypeVar

import msgspec

from stoker.digest import Digest
from stoker.engine import Mode
from stoker.errors import BrokenFrameError, InvalidRequestError
from stoker.events import Event
from stoker.host import RunnerState, RunnerStatus
from stoker.wire.bundle import BundleWire, EngineInfoWire
from stoker.wire.errors import ErrorWire
from stoker.wire.events import EventWire, event_to_domain, event_to_wire
from stoker.wire.request import RequestWire

MAX_FRAME_BYTES = 256 * 1024 * 1024
"""More is no frame of ours, but a broken peer. Images in a request are the largest thing."""

_LENGTH = struct.Struct(">I")


class _Frame(msgspec.Struct, frozen=True):
    """Base of all frames."""


# Supervisor to runner.


class Load(_Frame, frozen=True, tag="load"):
    """Load a model; the first frame that a runner gets."""

    plugin: str
    """Entry-point name of the backend's plugin; the runner loads no other but parsers."""
    backend: str
    bundle: BundleWire
    options: dict[str, Any]
    parser_plugins: tuple[str, ...] = ()
    """Entry-point names of the plugins that have parsers."""
    parser: str | None = None
    """The parser that the config prescribes."""


class Submit(_Frame, frozen=True, tag="submit"):
    """Start a request."""

    request_id: int
    request: RequestWire


class Cancel(_Frame, frozen=True, tag="cancel"):
    """Forget a request."""

    request_id: int


class Shutdown(_Frame, frozen=True, tag="shutdown"):
    """Close the engine and end."""


# Runner to supervisor.


class LoadProgress(_Frame, frozen=True, tag="load-progress"):
    """Loading has come this far."""

    stage: str
    fraction: float | None


class Ready(_Frame, frozen=True, tag="ready"):
    """The model is loaded."""

    info: EngineInfoWire


class LoadFailed(_Frame, frozen=True, tag="load-failed"):
    """The model could not be loaded; the runner ends."""

    error: ErrorWire


class Step(_Frame, frozen=True, tag="step"):
    """Everything that one step brought, for all requests."""

    events: list[tuple[int, EventWire]]

    @classmethod
    def from_domain(cls, events: Sequence[tuple[int, Event]]) -> Step:
        """Convert for sending."""
        return cls([(request_id, event_to_wire(event)) for request_id, event in events])

    def to_domain(self) -> list[tuple[int, Event]]:
        """Convert what came."""
        return [(request_id, event_to_domain(event)) for request_id, event in self.events]


# Command line to server, one frame per connection: one of these or `Submit`, which is answered with
# `Step` frames under the request's id; hanging up cancels it.


class ListRunners(_Frame, frozen=True, tag="list-runners"):
    """Ask what is loaded."""


class Unload(_Frame, frozen=True, tag="unload"):
    """Ask to unload a model."""

    model: str


class ReadLog(_Frame, frozen=True, tag="read-log"):
    """Ask what a model's engine printed."""

    model: str
    after: int


class Reload(_Frame, frozen=True, tag="reload"):
    """Ask to read the configuration again."""


class ConfigReloaded(_Frame, frozen=True, tag="config-reloaded"):
    """The configuration was read again."""

    changed: tuple[str, ...]
    needs_restart: tuple[str, ...]


class RunnerStatusWire(msgspec.Struct, frozen=True):
    """See `stoker.host.RunnerStatus`."""

    model: str
    digest: str
    backend: str
    state: RunnerState
    pid: int | None
    active_requests: int
    context_length: int | None
    devices: tuple[str, ...]
    memory_bytes: int | None
    expires_in_s: float | None
    planned_bytes: int
    pinned: bool
    running: int
    waiting: tuple[str, ...]
    tokens_per_s: float | None
    modes: frozenset[Mode]

    @classmethod
    def from_domain(cls, status: RunnerStatus) -> RunnerStatusWire:
        """Convert for sending."""
        values = {name: getattr(status, name) for name in cls.__struct_fields__}
        return cls(**(values | {"digest": str(status.digest)}))

    def to_domain(self) -> RunnerStatus:
        """Convert what came."""
        values = msgspec.structs.asdict(self)
        return RunnerStatus(**(values | {"digest": Digest.parse(self.digest)}))


class Runners(_Frame, frozen=True, tag="runners"):
    """What is loaded."""

    runners: tuple[RunnerStatusWire, ...]
    addresses: tuple[str, ...]
    """Where the server's transports listen."""
    pid: int


class LogPart(_Frame, frozen=True, tag="log-part"):
    """What it printed; see `stoker.host.LogLines`."""

    lines: tuple[str, ...]
    next: int


class Unloaded(_Frame, frozen=True, tag="unloaded"):
    """Whether there was anything to unload."""

    unloaded: bool


class Refused(_Frame, frozen=True, tag="refused"):
    """A command (not a request) failed."""

    error: ErrorWire


ToRunner = Load | Submit | Cancel | Shutdown
FromRunner = LoadProgress | Ready | LoadFailed | Step
ToServer = Submit | ListRunners | ReadLog | Reload | Unload
FromServer = Step | ConfigReloaded | Runners | LogPart | Unloaded | Refused

_ENCODER = msgspec.msgpack.Encoder()


def encode_frame(frame: _Frame) -> bytearray:
    """A frame with its length in front, ready to send.

    Raises:
        InvalidRequestError: A request has what no frame can carry; nothing else brings such.
    """
    buffer = bytearray(_LENGTH.size)
    try:
        _ENCODER.encode_into(frame, buffer, _LENGTH.size)
    except (OverflowError, RecursionError, UnicodeEncodeError) as exc:
        raise InvalidRequestError(
            f"The request has a value that cannot be handed on: {exc}."
        ) from exc
    _LENGTH.pack_into(buffer, 0, len(buffer) - _LENGTH.size)
    return buffer


FrameT = TypeVar("FrameT")


class FrameReader(Generic[FrameT]):
    """Takes bytes as they come and gives frames. One per direction and connection."""

    def __init__(self, kind: Any) -> None:
        """Read frames of a union.

        Args:
            kind: The union, for example `ToRunner`.
        """
        self._decoder: msgspec.msgpack.Decoder[FrameT] = msgspec.msgpack.Decoder(kind)
        self._buffer = bytearray()

    def feed(self, data: bytes) -> list[FrameT]:
        """Take bytes; return the frames that are complete now.

        Raises:
            BrokenFrameError: These bytes are no frame.
        """
        self._buffer += data
        frames = []
        start = 0
        while len(self._buffer) - start >= _LENGTH.size:
            (length,) = _LENGTH.unpack_from(self._buffer, start)
            if length > MAX_FRAME_BYTES:
                raise BrokenFrameError(
                    f"A frame of {length} bytes was announced; that is too much."
                )
            end = start + _LENGTH.size + length
            if len(self._buffer) < end:
                break
            frames.append(self._decode(self._buffer[start + _LENGTH.size : end]))
            start = end
        del self._buffer[:start]
        return frames

    def _decode(self, body: bytearray) -> FrameT:
        try:
            return self._decoder.decode(body)
        except msgspec.MsgspecError as exc:
            raise BrokenFrameError(f"Bytes that are no frame arrived: {exc}") from exc
