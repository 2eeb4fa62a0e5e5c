"""The routes of the OpenAI APIs."""

from __future__ import annotations

from stoker.dialect import AnswerRoute, Dialect, ModelRoute, ModelsRoute
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


def openai_dialect() -> Dialect:
    """Make the dialect."""
    return Dialect(
        routes=(
            ModelsRoute("/v1/models", encode_models),
            ModelRoute("/v1/models", encode_model),
            AnswerRoute("/v1/chat/completions", decode_chat),
            AnswerRoute("/v1/completions", decode_completion),
            AnswerRoute("/v1/embeddings", decode_embeddings),
            AnswerRoute("/v1/chat/completions/input_tokens", decode_input_tokens),
            AnswerRoute("/tokenize", decode_tokenize),
            AnswerRoute("/detokenize", decode_detokenize),
            AnswerRoute("/apply-template", decode_template),
        ),
        encode_error=encode_error,
    )
