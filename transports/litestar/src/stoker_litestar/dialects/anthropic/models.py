"""The models API: cards as JSON."""

from __future__ import annotations

from collections.abc import Sequence

from stoker.host import ModelCard
from stoker_litestar.dialects.anthropic.wire.encoder import encode
from stoker_litestar.dialects.anthropic.wire.model import ModelInfo, ModelPage


def encode_models(cards: Sequence[ModelCard]) -> bytes:
    """The body of `GET /v1/models`: all of them, whatever page was asked for."""
    models = [ModelInfo.from_domain(card) for card in cards]
    first = models[0].id if models else None
    last = models[-1].id if models else None
    return encode(ModelPage(models, has_more=False, first_id=first, last_id=last))


def encode_model(card: ModelCard) -> bytes:
    """The body of `GET /v1/models/NAME`."""
    return encode(ModelInfo.from_domain(card))
