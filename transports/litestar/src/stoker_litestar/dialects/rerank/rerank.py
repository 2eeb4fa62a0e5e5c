"""Reranking: from a request's bytes to the internal request, and from events to the answer."""

from __future__ import annotations

import functools

import msgspec
from msgspec import UNSET

from stoker.dialect import Call, ResponseContext
from stoker.events import Usage
from stoker.request import RerankRequest
from stoker_litestar.dialects.json_body import decode_body
from stoker_litestar.dialects.openai.wire.usage import PromptUsageObject
from stoker_litestar.dialects.rerank.ranking import RankingEncoder
from stoker_litestar.dialects.rerank.rerank_fields import RERANK_FIELDS
from stoker_litestar.dialects.rerank.wire.rerank import (
    RerankBody,
    RerankResponse,
    RerankResult,
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


class RerankEncoder(RankingEncoder):
    """Says the ranking, the best document first."""

    def __init__(
        self, context: ResponseContext, *, model: str, documents: tuple[str, ...] | None
    ) -> None:
        super().__init__(context, model=model)
        self._documents = documents

    def whole(self, usage: Usage) -> RerankResponse:
        """The ranking as it is, with the texts when they were asked for."""
        return RerankResponse(
            id=f"rerank-{self.context.id}",
            model=self.model,
            results=[
                RerankResult(
                    index=item.index,
                    relevance_score=item.score,
                    document=(
                        TextDocument(self._documents[item.index]) if self._documents else UNSET
                    ),
                )
                for item in self.ranking
            ],
            usage=PromptUsageObject.from_domain(usage),
        )
