"""The routes of the OpenAI APIs."""

from __future__ import annotations

from stoker.dialect import AnswerRoute, Dialect, ModelRoute, ModelsRoute
from stoker_litestar.dialects.openai import described
from stoker_litestar.dialects.openai.chat import decode_chat
from stoker_litestar.dialects.openai.completions import decode_completion
from stoker_litestar.dialects.openai.embeddings import decode_embeddings
from stoker_litestar.dialects.openai.error import encode_error
from stoker_litestar.dialects.openai.models import encode_model, encode_models
from stoker_litestar.dialects.openai.tokenizing import (
    decode_detokenize,
    decode_input_tokens,
    decode_template,
    decode_tokenize,
)
from stoker_litestar.dialects.openai.wire.error import ErrorBody


def openai_dialect() -> Dialect:
    """Make the dialect."""
    return Dialect(
        routes=(
            ModelsRoute("/v1/models", encode_models, description=described.MODELS),
            ModelRoute("/v1/models", encode_model, description=described.MODEL),
            AnswerRoute("/v1/chat/completions", decode_chat, described.CHAT),
            AnswerRoute("/v1/completions", decode_completion, described.COMPLETION),
            AnswerRoute("/v1/embeddings", decode_embeddings, described.EMBEDDING),
            AnswerRoute(
                "/v1/chat/completions/input_tokens", decode_input_tokens, described.INPUT_TOKENS
            ),
            AnswerRoute("/tokenize", decode_tokenize, described.TOKENIZE),
            AnswerRoute("/detokenize", decode_detokenize, described.DETOKENIZE),
            AnswerRoute("/apply-template", decode_template, described.TEMPLATE),
        ),
        encode_error=encode_error,
        error=ErrorBody,
    )
