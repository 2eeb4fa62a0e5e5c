"""Reranking: from a request's bytes to the internal request, and from events to the answer."""

from __future__ import annotations

import functools

import msgspec
from msgspec import UNSET

from stoker.dialect import Call, ResponseContext, ResponseEncoder
from stoker.events import Event, Failed, Finished, Ranking, Relevance, Usage
from stoker.request import RerankRequest
from stoker_litestar.dialects.json_body import decode_body
from stoker_litestar.dialects.openai.error import error_object
from stoker_litestar.dialects.openai.wire.encoder import encode
from stoker_litestar.dialects.rerank.rerank_fields import RERANK_FIELDS
from stoker_litestar.dialects.rerank.wire import (
    RerankBody,
    RerankResponse,
    RerankResult,
    RerankUsage,
    TextDocument,
)

_DECODER = msgspec.json.Decoder(RerankBody)


def decode_rerank(body: bytes) -> Call:
    """Decode the body of `POST /v1/rerank`.

    Raises:
        InvalidRequestError: A field is unknown, malformed, out of range or refused; names it.
    """
    wire = decode_body(_DECODER, body)
    RERANK_FIELDS.check(wire)
    documents = tuple(item if isinstance(item, str) else item.text for item in wire.documents)
    request = RerankRequest(
        model=wire.model, query=wire.query, documents=documents, top_n=wire.top_n
    )
    encoder = functools.partial(
        RerankEncoder, model=wire.model, documents=documents if wire.return_documents else None
    )
    return Call(request, stream=False, encoder=encoder)


class RerankEncoder(ResponseEncoder):
    """Makes one JSON object of all events."""

    content_type = "application/json"

    def __init__(
        self, context: ResponseContext, *, model: str, documents: tuple[str, ...] | None
    ) -> None:
        self._context = context
        self._model = model
        self._documents = documents
        self._results: tuple[Relevance, ...] = ()

    def feed(self, event: Event) -> bytes:
        """Collect; the last event brings everything."""
        match event:
            case Ranking(results):
                self._results = results
            case Finished(usage):
                return self._whole(usage)
            case Failed(error):
                return error_object(error)
            case _:
                pass
        return b""

    def _whole(self, usage: Usage) -> bytes:
        return encode(
            RerankResponse(
                id=f"rerank-{self._context.id}",
                model=self._model,
                results=[
                    RerankResult(
                        index=item.index,
                        relevance_score=item.score,
                        document=(
                            TextDocument(self._documents[item.index]) if self._documents else UNSET
                        ),
                    )
                    for item in self._results
                ],
                usage=RerankUsage(usage.prompt_tokens, usage.total_tokens),
            )
        )
