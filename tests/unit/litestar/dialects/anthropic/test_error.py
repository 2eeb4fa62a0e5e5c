"""Errors in Anthropic's form."""

from __future__ import annotations

import json

import pytest

from stoker import errors
from stoker.dialect import ErrorContext
from stoker.errors import StokerError
from stoker_litestar.dialects.anthropic.error import STATUSES, encode_error, error_object
from stoker_litestar.error_response import status_of

CASES = [
    (errors.InvalidRequestError("x", param="a"), 400, "invalid_request_error"),
    (
        errors.ContextLengthExceededError(prompt_tokens=2, context_length=1),
        400,
        "invalid_request_error",
    ),
    (errors.UnauthenticatedError("x"), 401, "authentication_error"),
    (errors.AccessDeniedError("x"), 403, "permission_error"),
    (errors.ModelNotFoundError("x", model="m"), 404, "not_found_error"),
    (errors.TooManyRequestsError("x", retry_after_s=1), 429, "rate_limit_error"),
    (errors.OverloadedError("x", retry_after_s=1), 529, "overloaded_error"),
    (errors.DeadlineExceededError("x"), 504, "timeout_error"),
    (errors.LoadError("x"), 500, "api_error"),
    (errors.RunnerCrashedError("x"), 500, "api_error"),
    (errors.ConfigError(source="a", key="b", problem="c"), 500, "api_error"),
    (errors.PluginError("x", plugin="p"), 500, "api_error"),
    (errors.ConflictError("x"), 400, "invalid_request_error"),
    (StokerError("x"), 500, "api_error"),
]


@pytest.mark.parametrize(("error", "status", "kind"), CASES)
def test_types_and_statuses(error: StokerError, status: int, kind: str) -> None:
    """Each kind of error has the type and the status that the API's documentation gives it."""
    assert status == status_of(error, STATUSES)
    body = json.loads(encode_error(error, ErrorContext(status, "abc")))
    assert {
        "type": "error",
        "error": {"type": kind, "message": error.message},
        "request_id": "abc",
    } == body
    assert {"type": "error", "error": body["error"]} == json.loads(error_object(error))


def test_clients_of_threads_are_told_to_go_on_without() -> None:
    """The official client looks for this code, and sends whole conversations from then on."""
    error = errors.UnsupportedFeatureError("thread: messages are not stored.", param="thread")

    body = json.loads(encode_error(error, ErrorContext(400, "abc")))

    assert {
        "error_code": "thread_unsupported_request",
        "unsupported": ["thread"],
    } == body["error"]["details"]


def test_a_body_that_is_too_large_has_a_type_of_its_own() -> None:
    """It follows from the status, as the size of bodies is the transport's affair."""
    body = json.loads(encode_error(errors.InvalidInputError("x"), ErrorContext(413, "abc")))

    assert "request_too_large" == body["error"]["type"]
