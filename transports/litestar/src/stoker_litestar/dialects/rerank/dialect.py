"""The routes of the rerank and score APIs."""

from __future__ import annotations

from stoker.dialect import AnswerRoute, Dialect
from stoker_litestar.dialects.openai.error import encode_error
from stoker_litestar.dialects.openai.wire.error import ErrorBody
from stoker_litestar.dialects.rerank import described
from stoker_litestar.dialects.rerank.rerank import decode_rerank
from stoker_litestar.dialects.rerank.score import decode_score


def rerank_dialect() -> Dialect:
    """Make the dialect. Errors have OpenAI's form, as with others that serve these APIs.

    Jina's clients ask at `/v1/rerank`, Cohere's there and at `/v2/rerank`; the paths without a
    version are those of llama-server, vLLM and Docker Model Runner.
    """
    ranks = ("/v1/rerank", "/v2/rerank", "/rerank")
    scores = ("/v1/score", "/score")
    return Dialect(
        routes=(
            *(AnswerRoute(path, decode_rerank, described.RERANK) for path in ranks),
            *(AnswerRoute(path, decode_score, described.SCORE) for path in scores),
        ),
        encode_error=encode_error,
        error=ErrorBody,
    )
