"""What both answers to rankings collect."""

from __future__ import annotations

from stoker.dialect import ResponseContext
from stoker.events import Event, Ranking, Relevance
from stoker_litestar.dialects.openai.whole import WholeEncoder


class RankingEncoder(WholeEncoder):
    """Keeps the ranking until its answer is asked for.

    Attributes:
        context: Of the answer.
        model: As the request named it.
        ranking: What came, the best first.
    """

    def __init__(self, context: ResponseContext, *, model: str) -> None:
        self.context = context
        self.model = model
        self.ranking: tuple[Relevance, ...] = ()

    def take(self, event: Event) -> None:
        """Keep the ranking."""
        if isinstance(event, Ranking):
            self.ranking = event.results
