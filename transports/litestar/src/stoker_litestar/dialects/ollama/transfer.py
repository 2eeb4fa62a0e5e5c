"""Pull, push, create, copy and delete: from a request's bytes to a command, and its progress."""

from __future__ import annotations

from collections.abc import Callable

import attrs
import msgspec
from msgspec import UNSET

from stoker.dialect import CommandCall, CommandEncoder, CommandQuery, ResponseContext
from stoker.digest import Digest
from stoker.errors import InvalidDigestError
from stoker.events import Failed, Loading
from stoker.management import (
    Command,
    CommandEvent,
    CreateModel,
    ModelRemoved,
    ModelStored,
    PullModel,
    PushModel,
    RemoveModel,
    TagModel,
)
from stoker.store import Progress
from stoker_litestar.dialects.json_body import decode_body, field_error
from stoker_litestar.dialects.ollama.answer import JSON, LINES
from stoker_litestar.dialects.ollama.error import error_object
from stoker_litestar.dialects.ollama.management_fields import (
    CREATE_FIELDS,
    TRANSFER_FIELDS,
)
from stoker_litestar.dialects.ollama.models import WHOLE
from stoker_litestar.dialects.ollama.wire.encoder import encode, line
from stoker_litestar.dialects.ollama.wire.management import (
    CopyBody,
    CreateBody,
    DeleteBody,
    TransferBody,
)
from stoker_litestar.dialects.ollama.wire.model import StatusLine
from stoker_litestar.dialects.result import answered

_TRANSFER = msgspec.json.Decoder(TransferBody)
_CREATE = msgspec.json.Decoder(CreateBody)
_COPY = msgspec.json.Decoder(CopyBody)
_DELETE = msgspec.json.Decoder(DeleteBody)

_SHORT_DIGITS = 12
_SUCCESS = StatusLine(status="success")


@attrs.frozen
class Phrases:
    """What clients hear before and after the transfer itself, word for word as from Ollama."""

    before: tuple[str, ...]
    after: tuple[str, ...]


_PULL = Phrases(("pulling manifest",), ("verifying sha256 digest", "writing manifest"))
_PUSH = Phrases(("retrieving manifest",), ("pushing manifest",))
_MAKE = Phrases(("parsing model",), ("writing manifest",))


def decode_pull(query: CommandQuery) -> CommandCall:
    """Decode `POST /api/pull`.

    Raises:
        InvalidRequestError: A field is unknown, malformed or refused; names it.
    """
    return _transfer(query, PullModel, _PULL)


def decode_push(query: CommandQuery) -> CommandCall:
    """Decode `POST /api/push`.

    Raises:
        InvalidRequestError: A field is unknown, malformed or refused; names it.
    """
    return _transfer(query, PushModel, _PUSH)


def decode_create(query: CommandQuery) -> CommandCall:
    """Decode `POST /api/create`.

    Raises:
        InvalidRequestError: A field is unknown, malformed or refused; names it.
    """
    wire = decode_body(_CREATE, query.body)
    CREATE_FIELDS.check(wire)
    if bool(wire.origin) == bool(wire.files):
        raise field_error("files", "say what to make the model of, either files or from")
    licenses = (wire.license,) if isinstance(wire.license, str) else tuple(wire.license or ())
    licenses = tuple(text for text in licenses if text)
    if licenses and wire.origin:
        raise field_error("license", "the model that it is made from has its own: leave it out")
    command = CreateModel(
        wire.model_name(),
        origin=wire.origin or None,
        files={name: _digest(name, text) for name, text in (wire.files or {}).items()},
        licenses=licenses,
    )
    return _watched(command, _MAKE, stream=wire.stream)


def decode_copy(query: CommandQuery) -> CommandCall:
    """Decode `POST /api/copy`, which is answered without a body.

    Raises:
        InvalidRequestError: A field is unknown, malformed or missing; names it.
    """
    wire = decode_body(_COPY, query.body)
    return answered(WHOLE, TagModel(wire.source, wire.destination), ModelStored, lambda *_: b"")


def decode_delete(query: CommandQuery) -> CommandCall:
    """Decode `DELETE /api/delete`, which is answered without a body.

    Raises:
        InvalidRequestError: A field is unknown, malformed or missing; names it.
    """
    command = RemoveModel(decode_body(_DELETE, query.body).model_name())
    return answered(WHOLE, command, ModelRemoved, lambda *_: b"")


class ProgressEncoder(CommandEncoder):
    """Tells of a transfer: what is done of each blob, and the phrases around it."""

    def __init__(self, _context: ResponseContext, *, phrases: Phrases, stream: bool) -> None:
        self.content_type = LINES if stream else JSON
        self._stream = stream
        self._phrases = phrases
        self._began = False

    def feed(self, event: CommandEvent) -> bytes:
        """A line for every event; without a stream one object at the end."""
        match event:
            case Progress():
                return self._begin() + line(_status(event)) if self._stream else b""
            case Loading():
                return b""
            case Failed(error):
                return error_object(error) + (b"\n" if self._stream else b"")
            case _ if self._stream:
                after = b"".join(line(StatusLine(status=text)) for text in self._phrases.after)
                return self._begin() + after + line(_SUCCESS)
            case _:
                return encode(_SUCCESS)

    def _begin(self) -> bytes:
        if self._began:
            return b""
        self._began = True
        return b"".join(line(StatusLine(status=text)) for text in self._phrases.before)


def _status(progress: Progress) -> StatusLine:
    """Ollama calls a blob by the first letters of its digest, and clients draw a bar for each."""
    if progress.digest is None:
        item = f" {progress.item}" if progress.item else ""
        return StatusLine(status=f"{progress.stage}{item}", total=progress.total_bytes or UNSET)
    return StatusLine(
        status=f"{progress.stage} {progress.digest.encoded[:_SHORT_DIGITS]}",
        digest=str(progress.digest),
        total=progress.total_bytes or UNSET,
        completed=progress.done_bytes,
    )


def _transfer(
    query: CommandQuery, command: Callable[[str], PullModel | PushModel], phrases: Phrases
) -> CommandCall:
    wire = decode_body(_TRANSFER, query.body)
    TRANSFER_FIELDS.check(wire)
    return _watched(command(wire.model_name()), phrases, stream=wire.stream)


def _watched(command: Command, phrases: Phrases, *, stream: bool | None) -> CommandCall:
    streams = stream is not False
    return CommandCall(
        command,
        stream=streams,
        encoder=lambda context: ProgressEncoder(context, phrases=phrases, stream=streams),
    )


def _digest(name: str, text: str) -> Digest:
    try:
        return Digest.parse(text)
    except InvalidDigestError as exc:
        raise field_error(f"files.{name}", exc.message.rstrip(".")) from exc
