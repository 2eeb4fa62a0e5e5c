"""Pulls and pushes, and their progress: a line of JSON for each step.

Clients that do not ask for JSON get the same lines as text, in which the letters that HTML knows
are escaped; those clients undo that.
"""

from __future__ import annotations

import msgspec
from msgspec import UNSET

from stoker.dialect import CommandCall, CommandEncoder, CommandQuery
from stoker.events import Failed, Loading
from stoker.management import CommandEvent, PullModel, PushModel
from stoker.store import Progress
from stoker_litestar.dialects.docker.management_fields import CREATE_FIELDS, PUSH_FIELDS
from stoker_litestar.dialects.docker.wire.encoder import encode
from stoker_litestar.dialects.docker.wire.management import CreateBody, PushBody
from stoker_litestar.dialects.docker.wire.model import LayerObject, ProgressLine
from stoker_litestar.dialects.json_body import decode_body

_CREATE = msgspec.json.Decoder(CreateBody)
_PUSH = msgspec.json.Decoder(PushBody)

_JSON = "application/json"
_TEXT = "text/plain"
# As https://pkg.go.dev/html#EscapeString does.
_ESCAPES = str.maketrans({"&": "&amp;", "'": "&#39;", "<": "&lt;", ">": "&gt;", '"': "&#34;"})
_MODES = {"pull": ("pulling", "Downloaded", "pulled"), "push": ("pushing", "Uploaded", "pushed")}


def decode_create(query: CommandQuery) -> CommandCall:
    """Decode `POST /models/create`, which pulls.

    Raises:
        InvalidRequestError: A field is unknown, malformed or refused; names it.
    """
    wire = decode_body(_CREATE, query.body)
    CREATE_FIELDS.check(wire)
    return _watched(PullModel(wire.origin), "pull", query)


def decode_push(query: CommandQuery) -> CommandCall:
    """Decode `POST /models/{name}/push`.

    Raises:
        InvalidRequestError: A field is unknown, malformed or refused; names it.
    """
    PUSH_FIELDS.check(decode_body(_PUSH, query.body.strip() or b"{}"))
    return _watched(PushModel(query.name), "push", query)


def _watched(command: PullModel | PushModel, mode: str, query: CommandQuery) -> CommandCall:
    as_json = _JSON in query.accept
    return CommandCall(
        command, stream=True, encoder=lambda _context: ProgressEncoder(mode, as_json=as_json)
    )


class ProgressEncoder(CommandEncoder):
    """Tells of a transfer."""

    def __init__(self, mode: str, *, as_json: bool) -> None:
        self.content_type = _JSON if as_json else _TEXT
        self._as_json = as_json
        self._mode = mode
        self._stage, self._verb, self._past = _MODES[mode]
        self._sizes: dict[str, tuple[int, int]] = {}
        """What of each layer is there, and what there is to be."""

    def feed(self, event: CommandEvent) -> bytes:
        """A line for every step of a layer, and one at the end."""
        match event:
            case Progress():
                return self._progress(event)
            case Loading():
                return b""
            case Failed(error):
                return self._line("error", error.message)
            case _:
                return self._line("success", f"Model {self._past} successfully")

    def _progress(self, progress: Progress) -> bytes:
        if progress.digest is None:
            # No layer: the registry keeps us waiting, or another process has the layer.
            return self._line("warning", f"{progress.stage} {progress.item}".strip())
        if progress.stage != self._stage:
            return b""
        digest, size_bytes = str(progress.digest), progress.total_bytes or 0
        self._sizes[digest] = progress.done_bytes, size_bytes
        done_bytes = sum(done for done, _ in self._sizes.values())
        return self._line(
            "progress",
            f"{self._verb} {done_bytes / 1e6:.2f} MB",
            LayerObject(digest, size_bytes, progress.done_bytes),
        )

    def _line(self, kind: str, message: str, layer: LayerObject | None = None) -> bytes:
        data = encode(
            ProgressLine(
                type=kind,  # type: ignore[arg-type]
                message=message,
                total=sum(total for _, total in self._sizes.values()),
                layer=layer or UNSET,
                mode=self._mode,  # type: ignore[arg-type]
            )
        )
        if not self._as_json:
            data = data.decode().translate(_ESCAPES).encode()
        return data + b"\n"
