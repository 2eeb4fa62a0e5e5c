"""Models, as lists and descriptions show them."""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import UNSET, UnsetType

from stoker.artifact import ModelFacts


class DetailsObject(msgspec.Struct, frozen=True, kw_only=True):
    """What a model is. Every field is always there, as clients expect."""

    parent_model: str = ""
    format: str
    family: str
    families: list[str] | None
    parameter_size: str
    quantization_level: str
    context_length: int | UnsetType = UNSET

    @classmethod
    def from_domain(cls, facts: ModelFacts) -> DetailsObject:
        """Take what is known; what is not is empty."""
        return cls(
            format=facts.format or "",
            family=facts.architecture or "",
            families=[facts.architecture] if facts.architecture else None,
            parameter_size=facts.parameters or "",
            quantization_level=facts.quantization or "",
            context_length=facts.context_length or UNSET,
        )


class TagObject(msgspec.Struct, frozen=True, kw_only=True):
    """A model that is here."""

    name: str
    model: str
    modified_at: str
    size: int
    digest: str
    details: DetailsObject


class TagList(msgspec.Struct, frozen=True):
    """The answer of `GET /api/tags`."""

    models: list[TagObject]


class ProcessObject(msgspec.Struct, frozen=True, kw_only=True):
    """A model that is loaded."""

    name: str
    model: str
    size: int
    digest: str
    details: DetailsObject
    expires_at: str
    size_vram: int
    context_length: int


class ProcessList(msgspec.Struct, frozen=True):
    """The answer of `GET /api/ps`."""

    models: list[ProcessObject]


class ShowAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """The answer of `POST /api/show`."""

    modelfile: str
    parameters: str
    template: str
    license: str | UnsetType = UNSET
    details: DetailsObject
    model_info: dict[str, Any]
    capabilities: list[str]
    modified_at: str


class VersionAnswer(msgspec.Struct, frozen=True):
    """The answer of `GET /api/version`."""

    version: str
    stoker: str


class StatusLine(msgspec.Struct, frozen=True, kw_only=True):
    """A line of a transfer's progress."""

    status: str
    digest: str | UnsetType = UNSET
    total: int | UnsetType = UNSET
    completed: int | UnsetType = UNSET
