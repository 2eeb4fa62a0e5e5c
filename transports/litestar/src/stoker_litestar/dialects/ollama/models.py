"""Lists and descriptions of models: from a command's result to the answer."""

from __future__ import annotations

from collections.abc import Callable

import msgspec
from msgspec import UNSET

from stoker.artifact import ModelFacts
from stoker.dialect import CommandCall, CommandEncoder, CommandQuery, ResponseContext
from stoker.events import Failed, Loading
from stoker.host import ModelCard
from stoker.management import (
    CommandEvent,
    ListLoaded,
    ListModels,
    LoadedList,
    LoadedModel,
    ModelDetails,
    ModelList,
    ModelShown,
    Result,
    ShowModel,
    TellVersion,
    Version,
)
from stoker.store import Progress
from stoker_litestar.dialects.json_body import decode_body
from stoker_litestar.dialects.ollama.answer import JSON
from stoker_litestar.dialects.ollama.error import error_object
from stoker_litestar.dialects.ollama.management_fields import SHOW_FIELDS
from stoker_litestar.dialects.ollama.moment import moment, moment_after
from stoker_litestar.dialects.ollama.names import tagged
from stoker_litestar.dialects.ollama.wire.encoder import encode
from stoker_litestar.dialects.ollama.wire.management import ShowBody
from stoker_litestar.dialects.ollama.wire.model import (
    DetailsObject,
    ProcessList,
    ProcessObject,
    ShowAnswer,
    TagList,
    TagObject,
    VersionAnswer,
)

API_VERSION = "0.32.0"
"""The version of Ollama whose API this is: clients ask for it to see what they may use."""

_PROCESSOR = "cpu"

_SHOW = msgspec.json.Decoder(ShowBody)


class ResultEncoder(CommandEncoder):
    """Makes the answer of a command's result, and of nothing before it."""

    def __init__(
        self,
        context: ResponseContext,
        answer: Callable[[Result, ResponseContext], bytes],
        content_type: str = JSON,
    ) -> None:
        self.content_type = content_type
        self._context = context
        self._answer = answer

    def feed(self, event: CommandEvent) -> bytes:
        """The result makes the answer."""
        match event:
            case Progress() | Loading():
                return b""
            case Failed(error):
                return error_object(error)
            case _:
                return self._answer(event, self._context)


def decode_tags(_query: CommandQuery) -> CommandCall:
    """Decode `GET /api/tags`."""
    return _whole(ListModels(), _tags)


def decode_ps(_query: CommandQuery) -> CommandCall:
    """Decode `GET /api/ps`."""
    return _whole(ListLoaded(), _processes)


def decode_version(_query: CommandQuery) -> CommandCall:
    """Decode `GET /api/version`."""
    return _whole(TellVersion(), _version)


def decode_root(_query: CommandQuery) -> CommandCall:
    """Decode `GET /`, by which clients find out whether the server runs."""
    return CommandCall(
        TellVersion(),
        stream=False,
        encoder=lambda context: ResultEncoder(
            context, lambda *_: b"Ollama is running", "text/plain; charset=utf-8"
        ),
    )


def decode_show(query: CommandQuery) -> CommandCall:
    """Decode `POST /api/show`.

    Raises:
        InvalidRequestError: A field is unknown, malformed or refused; names it.
    """
    wire = decode_body(_SHOW, query.body)
    SHOW_FIELDS.check(wire)
    return _whole(ShowModel(wire.model_name()), _shown)


def _whole(
    command: ListModels | ListLoaded | TellVersion | ShowModel,
    answer: Callable[[Result, ResponseContext], bytes],
) -> CommandCall:
    return CommandCall(
        command, stream=False, encoder=lambda context: ResultEncoder(context, answer)
    )


def _tags(result: Result, _context: ResponseContext) -> bytes:
    cards = result.cards if isinstance(result, ModelList) else ()
    newest_first = sorted(cards, key=lambda card: -card.created_s)
    return encode(TagList([_tag(card) for card in newest_first]))


def _tag(card: ModelCard) -> TagObject:
    name = tagged(card.name)
    return TagObject(
        name=name,
        model=name,
        modified_at=moment(card.created_s),
        size=card.size_bytes,
        digest=card.digest.encoded,
        details=DetailsObject.from_domain(card.facts),
    )


def _processes(result: Result, context: ResponseContext) -> bytes:
    models = result.models if isinstance(result, LoadedList) else ()
    return encode(ProcessList([_process(model, context) for model in models]))


def _process(model: LoadedModel, context: ResponseContext) -> ProcessObject:
    status = model.status
    name = tagged(status.model)
    size_bytes = status.memory_bytes or status.planned_bytes
    on_device = any(not device.lower().startswith(_PROCESSOR) for device in status.devices)
    return ProcessObject(
        name=name,
        model=name,
        size=size_bytes,
        digest=status.digest.encoded,
        details=DetailsObject.from_domain(model.card.facts if model.card else ModelFacts()),
        expires_at=moment_after(context.created_s, status.expires_in_s),
        size_vram=size_bytes if on_device else 0,
        context_length=status.context_length or 0,
    )


def _version(result: Result, _context: ResponseContext) -> bytes:
    text = result.text if isinstance(result, Version) else ""
    return encode(VersionAnswer(API_VERSION, text))


def _shown(result: Result, _context: ResponseContext) -> bytes:
    if not isinstance(result, ModelShown):
        raise TypeError(result)
    return encode(_show_answer(result.details))


def _show_answer(details: ModelDetails) -> ShowAnswer:
    card = details.card
    return ShowAnswer(
        modelfile=f"# Made by stoker of what it knows\nFROM {tagged(card.name)}\n",
        parameters="",
        template=details.chat_template or "",
        license=details.license_text or card.facts.license or UNSET,
        details=DetailsObject.from_domain(card.facts),
        model_info=dict(details.metadata),
        capabilities=sorted(details.capabilities),
        modified_at=moment(card.created_s),
    )
