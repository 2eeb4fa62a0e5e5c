"""Scores: from a request's bytes to the internal request, and from events to the answer."""

from __future__ import annotations

import functools

import msgspec

from stoker.dialect import Call
from stoker.events import Usage
from stoker.request import RerankRequest
from stoker_litestar.dialects.json_body import decode_body
from stoker_litestar.dialects.openai.wire.usage import PromptUsageObject
from stoker_litestar.dialects.rerank.ranking import RankingEncoder
from stoker_litestar.dialects.rerank.score_fields import SCORE_FIELDS
from stoker_litestar.dialects.rerank.wire.score import ScoreBody, ScoreList, ScoreObject

_DECODER = msgspec.json.Decoder(ScoreBody)


def decode_score(body: bytes) -> Call:
    """Decode the body of `POST /v1/score`: a ranking of which the order does not matter.

    Raises:
        InvalidRequestError: A field is unknown, malformed, out of range or refused; names it.
    """
    wire = decode_body(_DECODER, body)
    SCORE_FIELDS.check(wire)
    queries, documents = _texts(wire.text_1), _texts(wire.text_2)
    request = RerankRequest(
        model=wire.model,
        # A list of one is a text for all, as it is for vLLM.
        query=queries[0] if len(queries) == 1 else queries,
        documents=documents,
        params=("text_1", "text_2"),
    )
    encoder = functools.partial(ScoreEncoder, model=wire.model)
    return Call(request, stream=False, encoder=encoder)


class ScoreEncoder(RankingEncoder):
    """Puts the scores into the order of the pairs."""

    def whole(self, usage: Usage) -> ScoreList:
        """A score for each pair."""
        return ScoreList(
            id=f"score-{self.context.id}",
            created=self.context.created_s,
            model=self.model,
            data=[
                ScoreObject(index=item.index, score=item.score)
                for item in sorted(self.ranking, key=lambda item: item.index)
            ],
            usage=PromptUsageObject.from_domain(usage),
        )


def _texts(wire: str | list[str]) -> tuple[str, ...]:
    return (wire,) if isinstance(wire, str) else tuple(wire)
