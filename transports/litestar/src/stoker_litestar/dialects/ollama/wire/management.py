"""The bodies of requests that manage models.

What becomes of each field stands in `management_fields`.
"""

from __future__ import annotations

from typing import Any

import msgspec

from stoker_litestar.dialects.json_body import field_error


class _NamedFields(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What names one model."""

    model: str | None = None
    name: str | None = None

    def model_name(self) -> str:
        """The model's name, from whichever field has it.

        Raises:
            InvalidRequestError: Neither has one, or they differ.
        """
        if self.model and self.name and self.model != self.name:
            raise field_error("name", "it contradicts model: leave it out")
        found = self.model or self.name
        if not found:
            raise field_error("model", "this field is required")
        return found


class TransferBody(_NamedFields, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The body of `POST /api/pull` and `POST /api/push`."""

    insecure: bool | None = None
    username: str | None = None
    password: str | None = None
    stream: bool | None = None


class CreateBody(_NamedFields, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The body of `POST /api/create`."""

    origin: str | None = msgspec.field(default=None, name="from")
    files: dict[str, str] | None = None
    adapters: dict[str, str] | None = None
    template: str | None = None
    license: str | list[str] | None = None
    system: str | None = None
    parameters: dict[str, Any] | None = None
    messages: list[Any] | None = None
    quantize: str | None = None
    quantization: str | None = None
    modelfile: str | None = None
    path: str | None = None
    renderer: str | None = None
    parser: str | None = None
    requires: str | None = None
    info: dict[str, Any] | None = None
    remote_host: str | None = None
    stream: bool | None = None


class CopyBody(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The body of `POST /api/copy`."""

    source: str
    destination: str


class DeleteBody(_NamedFields, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The body of `DELETE /api/delete`."""


class ShowBody(_NamedFields, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The body of `POST /api/show`."""

    verbose: bool | None = None
    system: str | None = None
    template: str | None = None
    options: dict[str, Any] | None = None
