"""Errors, in the body of a response and inside a stream."""

from __future__ import annotations

from typing import Literal

import msgspec
from msgspec import UNSET, UnsetType


class UnsupportedThread(msgspec.Struct, frozen=True):
    """What makes clients of the beta's threads go on without them."""

    error_code: Literal["thread_unsupported_request"] = "thread_unsupported_request"
    unsupported: tuple[str, ...] = ("thread",)


class ErrorDetail(msgspec.Struct, frozen=True):
    """What went wrong."""

    type: str
    message: str
    details: UnsupportedThread | UnsetType = UNSET


class ErrorBody(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="error"):
    """The object around it."""

    error: ErrorDetail
    request_id: str | UnsetType = UNSET
    """In responses; inside a stream there is none."""
