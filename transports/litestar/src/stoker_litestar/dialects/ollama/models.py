"""Lists and descriptions of models: from a command's result to the answer."""

from __future__ import annotations

import msgspec
from msgspec import UNSET

from stoker.artifact import ModelFacts
from stoker.dialect import CommandCall, CommandQuery, ResponseContext
from stoker.host import ModelCard
from stoker.management import (
    ListLoaded,
    ListModels,
    LoadedList,
    LoadedModel,
    ModelDetails,
    ModelList,
    ModelShown,
    ShowModel,
    TellVersion,
    Version,
)
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
from stoker_litestar.dialects.result import ResultForm, answered

API_VERSION = "0.32.0"
"""The version of Ollama whose API this is: clients ask for it to see what they may use."""

_PROCESSOR = "cpu"

WHOLE = ResultForm(JSON, error_object)
"""How whole answers are written here."""
_TEXT = ResultForm("text/plain; charset=utf-8", error_object)

_SHOW = msgspec.json.Decoder(ShowBody)


def decode_tags(_query: CommandQuery) -> CommandCall:
    """Decode `GET /api/tags`."""
    return answered(WHOLE, ListModels(), ModelList, _tags)


def decode_ps(_query: CommandQuery) -> CommandCall:
    """Decode `GET /api/ps`."""
    return answered(WHOLE, ListLoaded(), LoadedList, _processes)


def decode_version(_query: CommandQuery) -> CommandCall:
    """Decode `GET /api/version`."""
    return answered(WHOLE, TellVersion(), Version, _version)


def decode_root(_query: CommandQuery) -> CommandCall:
    """Decode `GET /`, by which clients find out whether the server runs."""
    return answered(_TEXT, TellVersion(), Version, lambda *_: b"Ollama is running")


def decode_show(query: CommandQuery) -> CommandCall:
    """Decode `POST /api/show`.

    Raises:
        InvalidRequestError: A field is unknown, malformed or refused; names it.
    """
    wire = decode_body(_SHOW, query.body)
    SHOW_FIELDS.check(wire)
    return answered(WHOLE, ShowModel(wire.model_name()), ModelShown, _shown)


def _tags(result: ModelList, _context: ResponseContext) -> bytes:
    newest_first = sorted(result.cards, key=lambda card: -card.created_s)
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


def _processes(result: LoadedList, context: ResponseContext) -> bytes:
    return encode(ProcessList([_process(model, context) for model in result.models]))


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


def _version(result: Version, _context: ResponseContext) -> bytes:
    return encode(VersionAnswer(API_VERSION, result.text))


def _shown(result: ModelShown, _context: ResponseContext) -> bytes:
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
