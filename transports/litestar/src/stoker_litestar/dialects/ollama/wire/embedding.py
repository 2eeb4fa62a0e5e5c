"""Requests for embeddings, and their answers."""

from __future__ import annotations

from typing import Annotated

import msgspec

from stoker_litestar.dialects.ollama.wire.generation import KeepAlive, Name
from stoker_litestar.dialects.ollama.wire.options import Options


class EmbedBody(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The body of `POST /api/embed`; what becomes of each field stands in `embedding_fields`."""

    model: Name
    input: str | list[str]
    truncate: bool | None = None
    options: Options | None = None
    keep_alive: KeepAlive | None = None
    dimensions: Annotated[int, msgspec.Meta(ge=1)] | None = None


class EmbeddingsBody(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The body of `POST /api/embeddings`, the older route; likewise."""

    model: Name
    prompt: str | None = None
    options: Options | None = None
    keep_alive: KeepAlive | None = None


class EmbedAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """The vectors of all inputs; times in nanoseconds."""

    model: str
    embeddings: list[list[float]]
    total_duration: int
    load_duration: int
    prompt_eval_count: int


class EmbeddingAnswer(msgspec.Struct, frozen=True):
    """The vector of the one prompt."""

    embedding: list[float]
