"""The bodies of the rerank API.

https://api.jina.ai/redoc#tag/rerank and https://docs.cohere.com/reference/rerank
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from msgspec import UNSET, UnsetType

from stoker_litestar.dialects.openai.wire.usage import PromptUsageObject


class TextDocument(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A document as an object."""

    text: str


class RerankBody(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Everything that a request may say; what becomes of each field stands in `rerank_fields`."""

    model: str
    query: str
    documents: list[str | TextDocument]
    top_n: Annotated[int, msgspec.Meta(ge=1)] | None = None
    return_documents: bool | None = None
    max_chunks_per_doc: Any = None
    max_tokens_per_doc: Any = None
    priority: int | None = None
    rank_fields: Any = None
    return_embeddings: Any = None
    truncation: Any = None
    user: str | None = None


class RerankResult(msgspec.Struct, frozen=True, kw_only=True):
    """One document."""

    index: int
    relevance_score: float
    document: TextDocument | UnsetType = UNSET


class RerankResponse(msgspec.Struct, frozen=True, kw_only=True):
    """The whole answer, the best document first."""

    id: str
    object: Literal["list"] = "list"
    model: str
    results: list[RerankResult]
    usage: PromptUsageObject
