"""Errors in OpenAI's form."""

from __future__ import annotations

import json
from typing import Any

import pytest

from stoker import errors
from stoker.errors import StokerError
from stoker_litestar.dialects.openai.error import encode_error


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (
            errors.InvalidRequestError("Bad n.", param="n"),
            {"message": "Bad n.", "type": "invalid_request_error", "param": "n", "code": None},
        ),
        (
            errors.UnsupportedFeatureError("No audio."),
            {
                "message": "No audio.",
                "type": "invalid_request_error",
                "param": None,
                "code": "unsupported_parameter",
            },
        ),
        (
            errors.ModelNotFoundError("No m.", model="m"),
            {
                "message": "No m.",
                "type": "invalid_request_error",
                "param": "model",
                "code": "model_not_found",
            },
        ),
        (
            errors.LoadError("Out of memory."),
            {
                "message": "Out of memory.",
                "type": "server_error",
                "param": None,
                "code": "model_load_failed",
            },
        ),
        (
            StokerError("Something broke."),
            {
                "message": "Something broke.",
                "type": "server_error",
                "param": None,
                "code": "internal_error",
            },
        ),
    ],
)
def test_errors_have_all_four_fields(error: StokerError, expected: dict[str, Any]) -> None:
    """Message, type, param and code are always there, null where there is nothing to say."""
    assert {"error": expected} == json.loads(encode_error(error, 400))
