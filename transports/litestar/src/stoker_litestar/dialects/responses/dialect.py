"""The routes of the Responses API."""

from __future__ import annotations

from stoker.dialect import AnswerRoute, Dialect, RecordRoute
from stoker_litestar.dialects.openai.error import encode_error
from stoker_litestar.dialects.openai.wire.error import ErrorBody
from stoker_litestar.dialects.responses import described
from stoker_litestar.dialects.responses.count import decode_count
from stoker_litestar.dialects.responses.responses import decode_response, refuse_compaction
from stoker_litestar.dialects.responses.stored import (
    encode_deleted,
    encode_items,
    encode_stored,
    refuse_cancel,
)

_PATH = "/v1/responses"
_ONE = f"{_PATH}/{{id}}"


def responses_dialect() -> Dialect:
    """Make the dialect. Errors have the form of OpenAI's other APIs."""
    return Dialect(
        routes=(
            AnswerRoute(_PATH, decode_response, described.RESPONSE),
            AnswerRoute(f"{_PATH}/input_tokens", decode_count, described.COUNT),
            AnswerRoute(f"{_PATH}/compact", refuse_compaction, described.COMPACTION),
            RecordRoute("GET", _ONE, encode_stored, described.STORED),
            RecordRoute("DELETE", _ONE, encode_deleted, described.DELETED),
            RecordRoute("GET", f"{_ONE}/input_items", encode_items, described.ITEMS),
            RecordRoute("POST", f"{_ONE}/cancel", refuse_cancel, described.CANCEL),
        ),
        encode_error=encode_error,
        error=ErrorBody,
    )
