"""Errors as HTTP: the one place that maps errors to statuses."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Any

import attrs
from litestar import Request, Response
from litestar.exceptions import (
    HTTPException,
    MethodNotAllowedException,
    NotFoundException,
)

from stoker import errors
from stoker.dialect import Dialect, ErrorContext
from stoker.errors import StokerError
from stoker_litestar.byte_range import RangeNotSatisfiableError
from stoker_litestar.path_owners import PathOwners
from stoker_litestar.request_id import HEADERS, id_of

_log = logging.getLogger(__name__)


class BodyIncompleteError(errors.InvalidInputError):
    """A client left before it had sent its request's body; nobody reads the answer."""


class BodyTimeoutError(errors.InvalidInputError):
    """A client took too long to send its request's body."""


class BodyTooLargeError(errors.InvalidInputError):
    """A request's body is larger than the transport takes."""


class MethodNotAllowedError(errors.InvalidInputError):
    """The path exists, but not for this method.

    Attributes:
        allow: The methods that it is there for, as in the header `Allow`.
    """

    def __init__(self, message: str, *, allow: str) -> None:
        self.allow = allow
        super().__init__(message)


# A class that is not here is like its nearest base that is.
STATUSES: dict[type[StokerError], HTTPStatus] = {
    StokerError: HTTPStatus.INTERNAL_SERVER_ERROR,
    errors.InvalidInputError: HTTPStatus.BAD_REQUEST,
    errors.ConfigError: HTTPStatus.INTERNAL_SERVER_ERROR,
    errors.InvalidArtifactError: HTTPStatus.UNPROCESSABLE_ENTITY,
    errors.NotFoundError: HTTPStatus.NOT_FOUND,
    errors.AccessDeniedError: HTTPStatus.FORBIDDEN,
    errors.UnauthenticatedError: HTTPStatus.UNAUTHORIZED,
    errors.ConflictError: HTTPStatus.CONFLICT,
    errors.UnavailableError: HTTPStatus.SERVICE_UNAVAILABLE,
    errors.TransferError: HTTPStatus.BAD_GATEWAY,
    errors.InsufficientMemoryError: HTTPStatus.INSUFFICIENT_STORAGE,
    errors.DeadlineExceededError: HTTPStatus.GATEWAY_TIMEOUT,
    errors.TooManyRequestsError: HTTPStatus.TOO_MANY_REQUESTS,
    errors.OperationCancelledError: HTTPStatus.SERVICE_UNAVAILABLE,
    errors.PluginError: HTTPStatus.INTERNAL_SERVER_ERROR,
    BodyTimeoutError: HTTPStatus.REQUEST_TIMEOUT,
    BodyTooLargeError: HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    MethodNotAllowedError: HTTPStatus.METHOD_NOT_ALLOWED,
    RangeNotSatisfiableError: HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE,
}
"""HTTP status by class of error."""

EncodeError = Callable[[StokerError, ErrorContext], bytes]
"""Makes the body for an error, with what goes with it."""
Statuses = Mapping[type[StokerError], int]
NO_STATUSES: Statuses = {}


@attrs.frozen
class HttpError:
    """An error with all that HTTP wants to know of it."""

    error: StokerError
    status: int
    headers: dict[str, str]


def http_error(
    request: Request[Any, Any, Any], exc: BaseException, statuses: Statuses = NO_STATUSES
) -> HttpError:
    """Say any exception as HTTP; one that nobody foresaw is logged and shows no internals.

    Args:
        request: What failed.
        exc: Why.
        statuses: Those that an API gives otherwise than all others.
    """
    headers: dict[str, str] = {}
    match exc:
        case StokerError():
            error = exc
        case NotFoundException():
            error = errors.NotFoundError(f"There is nothing at {request.url.path}.")
        case MethodNotAllowedException():
            error = MethodNotAllowedError(
                f"{request.url.path} does not take {request.method}.",
                allow=(exc.headers or {}).get("allow", ""),
            )
        case HTTPException() if exc.status_code < HTTPStatus.INTERNAL_SERVER_ERROR:
            error = errors.InvalidInputError(exc.detail)
        case _:
            error = unforeseen(exc)
    status = status_of(error, statuses)
    if isinstance(error, errors.OverloadedError):
        headers["retry-after"] = str(math.ceil(error.retry_after_s))
    elif isinstance(error, errors.UnauthenticatedError):
        # Clients of registries know Basic; for others it would make browsers ask for a password.
        scheme = "Basic" if f"{request.url.path}/".startswith("/v2/") else "Bearer"
        headers["www-authenticate"] = f'{scheme} realm="stoker"'
    elif isinstance(error, MethodNotAllowedError):
        headers["allow"] = error.allow
    elif isinstance(error, RangeNotSatisfiableError):
        headers["content-range"] = f"bytes */{error.size_bytes}"
    return HttpError(error, status, headers)


def status_of(error: StokerError, statuses: Statuses = NO_STATUSES) -> int:
    """The status of an error: that of the nearest of its classes in the tables."""
    known = {**STATUSES, **statuses}
    return next(known[cls] for cls in type(error).__mro__ if cls in known)


def unforeseen(exc: BaseException) -> StokerError:
    """Log an exception that is a defect, and give the error to show in its place."""
    _log.error("A request failed for a reason that nobody foresaw", exc_info=exc)
    return StokerError("Something broke inside stoker: its log says what.")


def exception_handler(
    encode_error: EncodeError,
    statuses: Statuses = NO_STATUSES,
    content_type: str = "application/json",
) -> Callable[[Request[Any, Any, Any], Exception], Response[bytes]]:
    """Make the handler that answers with errors in one API's form."""

    def handle(request: Request[Any, Any, Any], exc: Exception) -> Response[bytes]:
        found = http_error(request, exc, statuses)
        request_id = id_of(request)
        return Response(
            encode_error(found.error, ErrorContext(found.status, request_id)),
            status_code=found.status,
            headers=found.headers | dict.fromkeys(HEADERS, request_id),
            # The framework says of texts how they are encoded.
            media_type=content_type.removesuffix("; charset=utf-8"),
        )

    return handle


def fallback_handler(
    owners: PathOwners, encode_error: EncodeError
) -> Callable[[Request[Any, Any, Any], Exception], Response[bytes]]:
    """Make the handler for what belongs to no route.

    Args:
        owners: Find the API whose clients ask there.
        encode_error: Makes the body where there is none, or several are as likely.
    """
    unowned = exception_handler(encode_error)

    def handle(request: Request[Any, Any, Any], exc: Exception) -> Response[bytes]:
        owner = owners.find(request.url.path)
        if owner is None:
            return unowned(request, exc)
        return _of(owner)(request, exc)

    return handle


def _of(
    dialect: Dialect,
) -> Callable[[Request[Any, Any, Any], Exception], Response[bytes]]:
    return exception_handler(dialect.encode_error, dialect.statuses, dialect.error_content_type)


def dialect_errors(
    dialect: Dialect,
) -> dict[Any, Callable[[Request[Any, Any, Any], Exception], Response[bytes]]]:
    """The `exception_handlers` of a dialect's routes."""
    return {Exception: _of(dialect)}
