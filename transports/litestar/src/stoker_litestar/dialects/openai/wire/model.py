"""Models, as the models API shows them."""

from __future__ import annotations

from typing import Literal

import msgspec

from stoker.host import ModelCard


class ModelObject(msgspec.Struct, frozen=True):
    """One model."""

    id: str
    created: int
    owned_by: str
    """The store that holds it."""
    object: Literal["model"] = "model"
    context_length: int | msgspec.UnsetType = msgspec.UNSET
    """Tokens per sequence of a model that is loaded; no field of OpenAI's, but of many others."""

    @classmethod
    def from_domain(cls, card: ModelCard) -> ModelObject:
        """Take what the API shows from a card."""
        length = msgspec.UNSET if card.context_length is None else card.context_length
        return cls(
            id=card.name,
            created=int(card.created_s),
            owned_by=card.store,
            context_length=length,
        )


class ModelList(msgspec.Struct, frozen=True):
    """All models."""

    data: list[ModelObject]
    object: Literal["list"] = "list"
