"""Embeddings: from a request's bytes to the internal request, and from events to the answer."""

from __future__ import annotations

import functools

import msgspec

from stoker.dialect import (
    Call,
    CommandCall,
    CommandEncoder,
    ResponseContext,
    ResponseEncoder,
)
from stoker.events import Embedding, Event, Failed, Finished
from stoker.management import CommandEvent, LoadModel, ModelLoaded
from stoker.request import EmbedRequest, TextPrompt
from stoker.text.vector import floats
from stoker_litestar.dialects.json_body import decode_body
from stoker_litestar.dialects.ollama.answer import JSON
from stoker_litestar.dialects.ollama.duration import keep_alive_s, nanoseconds
from stoker_litestar.dialects.ollama.embedding_fields import EMBED_FIELDS, EMBEDDINGS_FIELDS
from stoker_litestar.dialects.ollama.error import error_object
from stoker_litestar.dialects.ollama.option_fields import OPTION_FIELDS
from stoker_litestar.dialects.ollama.wire.embedding import (
    EmbedAnswer,
    EmbedBody,
    EmbeddingAnswer,
    EmbeddingsBody,
)
from stoker_litestar.dialects.ollama.wire.encoder import encode
from stoker_litestar.dialects.ollama.wire.options import NO_OPTIONS

_EMBED = msgspec.json.Decoder(EmbedBody)
_EMBEDDINGS = msgspec.json.Decoder(EmbeddingsBody)


def decode_embed(body: bytes) -> Call | CommandCall:
    """Decode the body of `POST /api/embed`.

    Raises:
        InvalidRequestError: A field is unknown, malformed, out of range or refused; names it.
    """
    wire = decode_body(_EMBED, body)
    EMBED_FIELDS.check(wire)
    OPTION_FIELDS.check(wire.options or NO_OPTIONS, path="options.")
    texts = [wire.input] if isinstance(wire.input, str) else wire.input
    kept_s = keep_alive_s(wire.keep_alive)
    if not texts:
        empty = EmbedAnswer(
            model=wire.model,
            embeddings=[],
            total_duration=0,
            load_duration=0,
            prompt_eval_count=0,
        )
        return _loading(LoadModel(wire.model, keep_alive_s=kept_s), empty)
    request = EmbedRequest(
        model=wire.model,
        input=tuple(map(TextPrompt, texts)),
        dimensions=wire.dimensions,
        keep_alive_s=kept_s,
    )
    return Call(request, stream=False, encoder=functools.partial(EmbedEncoder, model=wire.model))


def decode_embeddings(body: bytes) -> Call | CommandCall:
    """Decode the body of `POST /api/embeddings`.

    Raises:
        InvalidRequestError: A field is unknown, malformed, out of range or refused; names it.
    """
    wire = decode_body(_EMBEDDINGS, body)
    EMBEDDINGS_FIELDS.check(wire)
    OPTION_FIELDS.check(wire.options or NO_OPTIONS, path="options.")
    kept_s = keep_alive_s(wire.keep_alive)
    if not wire.prompt:
        return _loading(LoadModel(wire.model, keep_alive_s=kept_s), EmbeddingAnswer([]))
    request = EmbedRequest(
        model=wire.model,
        input=(TextPrompt(wire.prompt),),
        normalize=False,
        keep_alive_s=kept_s,
    )
    return Call(request, stream=False, encoder=lambda _context: EmbedEncoder(model=None))


def _loading(command: LoadModel, answer: msgspec.Struct) -> CommandCall:
    return CommandCall(command, stream=False, encoder=lambda _context: _LoadedEncoder(answer))


class EmbedEncoder(ResponseEncoder):
    """Puts the vectors into the order of the inputs."""

    content_type = JSON

    def __init__(self, _context: ResponseContext | None = None, *, model: str | None) -> None:
        """Begin without vectors.

        Args:
            model: The name that was asked for; None for the older route, which has one vector.
        """
        self._model = model
        self._vectors: dict[int, bytes] = {}

    def feed(self, event: Event) -> bytes:
        """Collect; the last event brings everything."""
        match event:
            case Embedding(vector, index):
                self._vectors[index] = vector
            case Finished():
                return encode(self._answer(event))
            case Failed(error):
                return error_object(error)
            case _:
                pass
        return b""

    def _answer(self, event: Finished) -> msgspec.Struct:
        vectors = [floats(vector).tolist() for _, vector in sorted(self._vectors.items())]
        if self._model is None:
            return EmbeddingAnswer(vectors[0])
        timings = event.timings
        return EmbedAnswer(
            model=self._model,
            embeddings=vectors,
            total_duration=nanoseconds(timings.load_s + timings.queue_s + timings.prefill_s),
            load_duration=nanoseconds(timings.load_s),
            prompt_eval_count=event.usage.prompt_tokens,
        )


class _LoadedEncoder(CommandEncoder):
    """Says what was prepared once the model is loaded."""

    content_type = JSON

    def __init__(self, answer: msgspec.Struct) -> None:
        self._answer = answer

    def feed(self, event: CommandEvent) -> bytes:
        """Wait for the result."""
        match event:
            case ModelLoaded():
                return encode(self._answer)
            case Failed(error):
                return error_object(error)
            case _:
                return b""
