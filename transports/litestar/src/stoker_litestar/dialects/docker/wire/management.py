"""Bodies of requests. What becomes of each field stands in `management_fields`."""

from __future__ import annotations

from typing import Annotated

import msgspec


class CreateBody(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The body of `POST /models/create`."""

    origin: Annotated[str, msgspec.Meta(min_length=1)] = msgspec.field(name="from")
    bearer_token: str | None = msgspec.field(default=None, name="bearer-token")


class PushBody(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The body of `POST /models/{name}/push`, which may be missing."""

    bearer_token: str | None = msgspec.field(default=None, name="bearer-token")


class UnloadBody(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The body of `POST /engines/unload`."""

    all: bool | None = None
    backend: str | None = None
    models: list[str] | None = None
