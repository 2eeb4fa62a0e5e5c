"""The route of the rerank API."""

from __future__ import annotations

from stoker.dialect import AnswerRoute, Dialect
from stoker_litestar.dialects.openai.error import encode_error
from stoker_litestar.dialects.rerank.rerank import decode_rerank


def rerank_dialect() -> Dialect:
    """Make the dialect. Errors have OpenAI's form, as with others that serve this API."""
    return Dialect(routes=(AnswerRoute("/v1/rerank", decode_rerank),), encode_error=encode_error)
