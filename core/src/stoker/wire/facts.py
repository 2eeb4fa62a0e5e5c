"""What is known of a model, on the wire: between processes, in files, and printed."""

from __future__ import annotations

from typing import Self

import msgspec

from stoker.artifact import ModelFacts


class FactsWire(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """See `stoker.artifact.ModelFacts`."""

    format: str | None = None
    architecture: str | None = None
    parameters: str | None = None
    quantization: str | None = None
    context_length: int | None = None
    has_chat_template: bool | None = None
    license: str | None = None

    @classmethod
    def from_domain(cls, facts: ModelFacts) -> Self:
        """Convert for sending."""
        return cls(**{name: getattr(facts, name) for name in cls.__struct_fields__})

    def to_domain(self) -> ModelFacts:
        """Convert what came."""
        return ModelFacts(**msgspec.structs.asdict(self))
