"""Errors: from the domain's tree to the types and statuses that Anthropic's clients know.

https://docs.anthropic.com/en/api/errors
"""

from __future__ import annotations

from http import HTTPStatus

from msgspec import UNSET, UnsetType

from stoker import errors
from stoker.dialect import ErrorContext
from stoker.errors import StokerError
from stoker_litestar.dialects.anthropic.wire.encoder import encode
from stoker_litestar.dialects.anthropic.wire.error import ErrorBody, ErrorDetail, UnsupportedThread

_OVERLOADED = 529
"""No status of HTTP's, but Anthropic's own."""

STATUSES: dict[type[StokerError], int] = {
    errors.OverloadedError: _OVERLOADED,
    errors.InvalidArtifactError: HTTPStatus.BAD_REQUEST,
    errors.ConflictError: HTTPStatus.BAD_REQUEST,
    errors.InsufficientMemoryError: HTTPStatus.INTERNAL_SERVER_ERROR,
    errors.UnavailableError: HTTPStatus.INTERNAL_SERVER_ERROR,
    errors.TransferError: HTTPStatus.INTERNAL_SERVER_ERROR,
    errors.OperationCancelledError: HTTPStatus.INTERNAL_SERVER_ERROR,
}
"""Where this API's statuses are others than those of the transport: it has few."""

# A class that is not here is like its nearest base that is.
_TYPES: dict[type[StokerError], str] = {
    StokerError: "api_error",
    errors.InvalidInputError: "invalid_request_error",
    errors.ConfigError: "api_error",
    errors.NotFoundError: "not_found_error",
    errors.AccessDeniedError: "permission_error",
    errors.UnauthenticatedError: "authentication_error",
    errors.ConflictError: "invalid_request_error",
    errors.DeadlineExceededError: "timeout_error",
    errors.OverloadedError: "overloaded_error",
    errors.TooManyRequestsError: "rate_limit_error",
}


def encode_error(error: StokerError, context: ErrorContext) -> bytes:
    """The body of an error response."""
    if context.status == HTTPStatus.REQUEST_ENTITY_TOO_LARGE:
        # The one type that follows from no error of the domain.
        return _object("request_too_large", error, context.request_id)
    return _object(_type_of(error), error, context.request_id)


def error_object(error: StokerError) -> bytes:
    """The error object inside a stream."""
    return _object(_type_of(error), error, UNSET)


def _type_of(error: StokerError) -> str:
    return next(_TYPES[cls] for cls in type(error).__mro__ if cls in _TYPES)


def _object(kind: str, error: StokerError, request_id: str | UnsetType) -> bytes:
    about_threads = isinstance(error, errors.UnsupportedFeatureError) and error.param == "thread"
    details = UnsupportedThread() if about_threads else UNSET
    detail = ErrorDetail(kind, error.message, details)
    return encode(ErrorBody(error=detail, request_id=request_id))
