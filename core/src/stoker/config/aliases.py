"""`[aliases.NAME]`: a name of a model's own, with parameters; it shares the model's weights."""

from __future__ import annotations

from typing import Annotated

import msgspec

from stoker.errors import StokerError
from stoker.reference import Reference
from stoker.wire.sampling import SamplingFields


class AliasParameters(SamplingFields, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """Parameters of requests. What is unset here is the request's business."""

    max_tokens: Annotated[int, msgspec.Meta(ge=1)] | None = None
    stop: tuple[str, ...] | None = None

    def __post_init__(self) -> None:
        """Check the ranges."""
        try:
            self.sampling()
        except StokerError as exc:
            # What msgspec expects of a check, and turns into its own error with the place.
            raise ValueError(str(exc)) from exc


class AliasConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A virtual model."""

    model: str
    """The model whose weights answer; no other alias."""
    system: str | None = None
    """Put in front of conversations that have no system message of their own."""
    defaults: AliasParameters = AliasParameters()
    """For requests that say nothing of them."""
    enforced: AliasParameters = AliasParameters()
    """For all requests, whatever they say."""


def check_names(aliases: dict[str, AliasConfig]) -> None:
    """Check what can be told of the names alone.

    Raises:
        ValueError: An alias is no name of a model, or means another alias.
    """
    for name, alias in aliases.items():
        try:
            Reference.parse(name)
        except StokerError as exc:
            raise ValueError(f"an alias must look like a model's name: {exc}") from exc
        if alias.model in aliases:
            raise ValueError(f"alias {name!r} means the alias {alias.model!r}: name a model")
