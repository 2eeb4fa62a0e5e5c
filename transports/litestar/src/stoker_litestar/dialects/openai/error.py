"""Errors: from the domain's tree to the types and codes that OpenAI clients know."""

from __future__ import annotations

from stoker import errors
from stoker.dialect import ErrorContext
from stoker.errors import StokerError
from stoker_litestar.dialects.openai.wire.encoder import encode
from stoker_litestar.dialects.openai.wire.error import ErrorBody, ErrorDetail


class PreviousResponseNotFoundError(errors.InvalidRequestError):
    """A request goes on from a response that is not there."""


_INVALID = "invalid_request_error"
_SERVER = "server_error"

# Type and code by class; a class that is not here is like its nearest base that is.
# The codes are OpenAI's where it has one: https://platform.openai.com/docs/guides/error-codes
_KINDS: dict[type[StokerError], tuple[str, str | None]] = {
    StokerError: (_SERVER, "internal_error"),
    errors.InvalidInputError: (_INVALID, None),
    errors.ConfigError: (_SERVER, "config_error"),
    errors.InvalidArtifactError: (_INVALID, "invalid_model"),
    errors.ContextLengthExceededError: (_INVALID, "context_length_exceeded"),
    errors.UnsupportedFeatureError: (_INVALID, "unsupported_parameter"),
    errors.NotFoundError: (_INVALID, "not_found"),
    PreviousResponseNotFoundError: (_INVALID, "previous_response_not_found"),
    errors.ModelNotFoundError: (_INVALID, "model_not_found"),
    errors.AccessDeniedError: ("permission_error", "access_denied"),
    errors.UnauthenticatedError: (_INVALID, "invalid_api_key"),
    errors.ConflictError: (_INVALID, "conflict"),
    errors.UnavailableError: (_SERVER, "unavailable"),
    errors.LoadError: (_SERVER, "model_load_failed"),
    errors.RunnerCrashedError: (_SERVER, "runner_crashed"),
    errors.OverloadedError: (_SERVER, "overloaded"),
    errors.DeadlineExceededError: (_SERVER, "deadline_exceeded"),
    errors.TooManyRequestsError: ("rate_limit_error", "rate_limit_exceeded"),
    errors.OperationCancelledError: (_SERVER, "cancelled"),
    errors.PluginError: (_SERVER, "plugin_error"),
}
_ABOUT_MODEL = (errors.ModelNotFoundError, errors.InvalidReferenceError)


def encode_error(error: StokerError, _context: ErrorContext) -> bytes:
    """The body of an error response; the type follows from the error, not from the status."""
    return error_object(error)


def error_object(error: StokerError) -> bytes:
    """The error object, which is the same in a response and inside a stream."""
    kind, code = next(_KINDS[cls] for cls in type(error).__mro__ if cls in _KINDS)
    return encode(ErrorBody(ErrorDetail(error.message, kind, _param(error), code)))


def _param(error: StokerError) -> str | None:
    if isinstance(error, errors.InvalidRequestError):
        return error.param
    return "model" if isinstance(error, _ABOUT_MODEL) else None
