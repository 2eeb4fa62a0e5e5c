"""The body of `POST /v1/embeddings`.

The fields are those of `openai.types.embedding_create_params`; what becomes of each stands in
`embedding_fields`.
"""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

from stoker_litestar.dialects.openai.wire.generation import TokenId


class EmbeddingRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Everything that a request for embeddings may say."""

    model: str
    input: str | list[str | TokenId | list[TokenId]]
    dimensions: Annotated[int, msgspec.Meta(ge=1)] | None = None
    encoding_format: Literal["float", "base64"] | None = None
    user: str | None = None
