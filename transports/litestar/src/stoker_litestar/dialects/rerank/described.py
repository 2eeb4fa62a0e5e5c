"""What the routes of the rerank and score APIs take and give."""

from __future__ import annotations

from stoker.dialect import RouteDescription
from stoker_litestar.dialects.rerank.rerank_fields import RERANK_FIELDS
from stoker_litestar.dialects.rerank.score_fields import SCORE_FIELDS
from stoker_litestar.dialects.rerank.wire.rerank import RerankBody, RerankResponse
from stoker_litestar.dialects.rerank.wire.score import ScoreBody, ScoreList

RERANK = RouteDescription(
    "Ranks documents by how well they answer a query.",
    RerankBody,
    RerankResponse,
    notes=RERANK_FIELDS.notes,
    refused=RERANK_FIELDS.refused,
)
SCORE = RouteDescription(
    "Tells how well texts fit together.",
    ScoreBody,
    ScoreList,
    notes=SCORE_FIELDS.notes,
    refused=SCORE_FIELDS.refused,
)
