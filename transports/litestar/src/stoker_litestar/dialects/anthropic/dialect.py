"""The routes of Anthropic's API."""

from __future__ import annotations

from stoker.dialect import AnswerRoute, Dialect, ModelRoute, ModelsRoute
from stoker_litestar.dialects.anthropic import described
from stoker_litestar.dialects.anthropic.count_tokens import decode_count
from stoker_litestar.dialects.anthropic.error import STATUSES, encode_error
from stoker_litestar.dialects.anthropic.messages import decode_message
from stoker_litestar.dialects.anthropic.models import encode_model, encode_models
from stoker_litestar.dialects.anthropic.wire.error import ErrorBody

_VERSION = "anthropic-version"
"""The header that all of this API's clients send, and no others; its value changes nothing."""


def anthropic_dialect() -> Dialect:
    """Make the dialect. The paths of models are OpenAI's as well, so the header decides."""
    return Dialect(
        routes=(
            AnswerRoute("/v1/messages", decode_message, described.MESSAGE),
            AnswerRoute("/v1/messages/count_tokens", decode_count, described.COUNT),
            ModelsRoute("/v1/models", encode_models, header=_VERSION, description=described.MODELS),
            ModelRoute("/v1/models", encode_model, header=_VERSION, description=described.MODEL),
        ),
        encode_error=encode_error,
        error=ErrorBody,
        statuses=STATUSES,
    )
