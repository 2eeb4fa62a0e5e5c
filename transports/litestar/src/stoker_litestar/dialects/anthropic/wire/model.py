"""Models, as Anthropic's API shows them."""

from __future__ import annotations

import datetime as dt
from typing import Literal

import msgspec

from stoker.host import ModelCard


class ModelInfo(msgspec.Struct, frozen=True, kw_only=True):
    """One model."""

    type: Literal["model"] = "model"
    id: str
    display_name: str
    created_at: str
    lifecycle: Literal["active"] = "active"
    max_input_tokens: int | None
    """Tokens per sequence, prompt and answer together; null while the model is not loaded."""
    max_tokens: int | None
    capabilities: None = None
    """Nobody knows them all of a model before it is loaded."""

    @classmethod
    def from_domain(cls, card: ModelCard) -> ModelInfo:
        """Take what the API shows from a card."""
        created = dt.datetime.fromtimestamp(int(card.created_s), dt.UTC)
        return cls(
            id=card.name,
            display_name=card.name,
            created_at=created.strftime("%Y-%m-%dT%H:%M:%SZ"),
            max_input_tokens=card.context_length,
            max_tokens=card.context_length,
        )


class ModelPage(msgspec.Struct, frozen=True):
    """All models: they are few, so there is one page."""

    data: list[ModelInfo]
    has_more: Literal[False]
    first_id: str | None
    last_id: str | None
