"""The routes of Anthropic's API."""

from __future__ import annotations

from stoker.dialect import AnswerRoute, Dialect, ModelRoute, ModelsRoute
from stoker_litestar.dialects.anthropic.count_tokens import decode_count
from stoker_litestar.dialects.anthropic.error import STATUSES, encode_error
from stoker_litestar.dialects.anthropic.messages import decode_message
from stoker_litestar.dialects.anthropic.models import encode_model, encode_models

_VERSION = "anthropic-version"
"""The header that all of this API's clients send, and no others; its value changes nothing."""


def anthropic_dialect() -> Dialect:
    """Make the dialect. The paths of models are OpenAI's as well, so the header decides."""
    return Dialect(
        routes=(
            AnswerRoute("/v1/messages", decode_message),
            AnswerRoute("/v1/messages/count_tokens", decode_count),
            ModelsRoute("/v1/models", encode_models, header=_VERSION),
            ModelRoute("/v1/models", encode_model, header=_VERSION),
        ),
        encode_error=encode_error,
        statuses=STATUSES,
    )
