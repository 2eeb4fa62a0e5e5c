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

    @classmethod
    def from_domain(cls, card: ModelCard) -> ModelObject:
        """Take what the API shows from a card."""
        return cls(id=card.name, created=int(card.created_s), owned_by=card.store)


class ModelList(msgspec.Struct, frozen=True):
    """All models."""

    data: list[ModelObject]
    object: Literal["list"] = "list"
