"""What the routes of Ollama's API take and give."""

from __future__ import annotations

from typing import Any

from stoker.dialect import RouteDescription
from stoker_litestar.dialects.fields import FieldTable
from stoker_litestar.dialects.ollama.answer import LINES
from stoker_litestar.dialects.ollama.embedding_fields import EMBED_FIELDS, EMBEDDINGS_FIELDS
from stoker_litestar.dialects.ollama.generation_fields import CHAT_FIELDS, GENERATE_FIELDS
from stoker_litestar.dialects.ollama.management_fields import (
    COPY_FIELDS,
    CREATE_FIELDS,
    DELETE_FIELDS,
    SHOW_FIELDS,
    TRANSFER_FIELDS,
)
from stoker_litestar.dialects.ollama.wire.answer import ChatPiece, GeneratePiece
from stoker_litestar.dialects.ollama.wire.embedding import (
    EmbedAnswer,
    EmbedBody,
    EmbeddingAnswer,
    EmbeddingsBody,
)
from stoker_litestar.dialects.ollama.wire.generation import ChatBody, GenerateBody
from stoker_litestar.dialects.ollama.wire.management import (
    CopyBody,
    CreateBody,
    DeleteBody,
    ShowBody,
    TransferBody,
)
from stoker_litestar.dialects.ollama.wire.model import (
    ProcessList,
    ShowAnswer,
    StatusLine,
    TagList,
    VersionAnswer,
)


def _described(
    summary: str, request: Any, table: FieldTable, response: Any = None, *, streams: bool = False
) -> RouteDescription:
    """A route with a body; its stream is made of the same objects as its whole answer."""
    return RouteDescription(
        summary,
        request,
        response,
        response if streams else None,
        LINES,
        notes=table.notes,
        refused=table.refused,
    )


CHAT = _described("Answers a conversation.", ChatBody, CHAT_FIELDS, ChatPiece, streams=True)
GENERATE = _described(
    "Answers a prompt.", GenerateBody, GENERATE_FIELDS, GeneratePiece, streams=True
)
EMBED = _described("Makes vectors of texts.", EmbedBody, EMBED_FIELDS, EmbedAnswer)
EMBEDDINGS = _described(
    "Makes a vector of a text.", EmbeddingsBody, EMBEDDINGS_FIELDS, EmbeddingAnswer
)
VERSION = RouteDescription("Tells the version of the API.", response=VersionAnswer)
TAGS = RouteDescription("Lists the models.", response=TagList)
PS = RouteDescription("Lists the models that are loaded.", response=ProcessList)
SHOW = _described("Describes a model.", ShowBody, SHOW_FIELDS, ShowAnswer)
PULL = _described("Fetches a model.", TransferBody, TRANSFER_FIELDS, StatusLine, streams=True)
PUSH = _described("Sends a model.", TransferBody, TRANSFER_FIELDS, StatusLine, streams=True)
CREATE = _described("Makes a model.", CreateBody, CREATE_FIELDS, StatusLine, streams=True)
COPY = _described("Gives a model another name.", CopyBody, COPY_FIELDS)
DELETE = _described("Removes a name of a model.", DeleteBody, DELETE_FIELDS)
