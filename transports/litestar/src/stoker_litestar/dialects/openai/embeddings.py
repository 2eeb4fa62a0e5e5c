"""Embeddings: from a request's bytes to the internal request, and from events to the answer."""

from __future__ import annotations

import functools
from typing import Any

import msgspec

from stoker.dialect import Call, ResponseContext
from stoker.events import Embedding, Event, Usage
from stoker.request import EmbedRequest, TextPrompt, TokenPrompt
from stoker.text.vector import floats
from stoker_litestar.dialects.json_body import decode_body, field_error
from stoker_litestar.dialects.openai.embedding_fields import EMBEDDING_FIELDS
from stoker_litestar.dialects.openai.whole import WholeEncoder
from stoker_litestar.dialects.openai.wire.embedding_request import EmbeddingRequest
from stoker_litestar.dialects.openai.wire.embedding_response import (
    EmbeddingList,
    EmbeddingObject,
)
from stoker_litestar.dialects.openai.wire.usage import PromptUsageObject

_DECODER = msgspec.json.Decoder(EmbeddingRequest)


def decode_embeddings(body: bytes) -> Call:
    """Decode the body of `POST /v1/embeddings`.

    Raises:
        InvalidRequestError: A field is unknown, malformed or out of range; names it.
    """
    wire = decode_body(_DECODER, body)
    EMBEDDING_FIELDS.check(wire)
    request = EmbedRequest(model=wire.model, input=_prompts(wire.input), dimensions=wire.dimensions)
    encoder = functools.partial(
        EmbeddingEncoder, model=wire.model, as_bytes=wire.encoding_format == "base64"
    )
    return Call(request, stream=False, encoder=encoder)


class EmbeddingEncoder(WholeEncoder):
    """Puts the vectors into the order of the inputs."""

    def __init__(self, _context: ResponseContext, *, model: str, as_bytes: bool) -> None:
        self._model = model
        self._as_bytes = as_bytes
        self._vectors: dict[int, bytes] = {}

    def take(self, event: Event) -> None:
        """Keep the vectors."""
        if isinstance(event, Embedding):
            self._vectors[event.index] = event.vector

    def whole(self, usage: Usage) -> EmbeddingList:
        """All vectors."""
        return EmbeddingList(
            data=[
                EmbeddingObject(
                    index=index,
                    embedding=vector if self._as_bytes else floats(vector).tolist(),
                )
                for index, vector in sorted(self._vectors.items())
            ],
            model=self._model,
            usage=PromptUsageObject.from_domain(usage),
        )


def _prompts(wire: str | list[Any]) -> tuple[TextPrompt | TokenPrompt, ...]:
    """Read the four forms: a text, texts, tokens, lists of tokens."""
    if isinstance(wire, str):
        return (TextPrompt(wire),)
    if wire and _all_are(int, wire):
        return (TokenPrompt(tuple(wire)),)
    if _all_are(str, wire):
        return tuple(map(TextPrompt, wire))
    if _all_are(list, wire):
        return tuple(TokenPrompt(tuple(item)) for item in wire)
    raise field_error("input", "expected a text, texts, tokens or lists of tokens")


def _all_are(kind: type, wire: list[Any]) -> bool:
    return all(isinstance(item, kind) for item in wire)
