"""The body of an answer to a request for embeddings."""

from __future__ import annotations

from typing import Literal

import msgspec

from stoker_litestar.dialects.openai.wire.usage import PromptUsageObject


class EmbeddingObject(msgspec.Struct, frozen=True, kw_only=True):
    """The vector of one input."""

    object: Literal["embedding"] = "embedding"
    index: int
    embedding: list[float] | bytes
    """The numbers, or their 32-bit floats, little-endian, which become base64."""


class EmbeddingList(msgspec.Struct, frozen=True, kw_only=True):
    """The whole answer."""

    object: Literal["list"] = "list"
    data: list[EmbeddingObject]
    model: str
    usage: PromptUsageObject
