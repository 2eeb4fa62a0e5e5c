"""The models API: cards as JSON."""

from __future__ import annotations

from collections.abc import Sequence

from stoker.host import ModelCard
from stoker_litestar.dialects.openai.wire.encoder import encode
from stoker_litestar.dialects.openai.wire.model import ModelList, ModelObject


def encode_models(cards: Sequence[ModelCard]) -> bytes:
    """The body of `GET /v1/models`."""
    return encode(ModelList(data=[ModelObject.from_domain(card) for card in cards]))


def encode_model(card: ModelCard) -> bytes:
    """The body of `GET /v1/models/NAME`."""
    return encode(ModelObject.from_domain(card))
