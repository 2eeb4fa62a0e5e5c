"""The routes of Ollama's API."""

from __future__ import annotations

from stoker.dialect import AnswerRoute, BlobRoute, CommandRoute, Dialect
from stoker_litestar.dialects.ollama import described
from stoker_litestar.dialects.ollama.embedding import decode_embed, decode_embeddings
from stoker_litestar.dialects.ollama.error import encode_error
from stoker_litestar.dialects.ollama.generation import decode_chat, decode_generate
from stoker_litestar.dialects.ollama.models import (
    decode_ps,
    decode_root,
    decode_show,
    decode_tags,
    decode_version,
)
from stoker_litestar.dialects.ollama.transfer import (
    decode_copy,
    decode_create,
    decode_delete,
    decode_pull,
    decode_push,
)
from stoker_litestar.dialects.ollama.wire.error import ErrorBody


def ollama_dialect() -> Dialect:
    """Make the dialect."""
    return Dialect(
        routes=(
            AnswerRoute("/api/chat", decode_chat, described.CHAT),
            AnswerRoute("/api/generate", decode_generate, described.GENERATE),
            AnswerRoute("/api/embed", decode_embed, described.EMBED),
            AnswerRoute("/api/embeddings", decode_embeddings, described.EMBEDDINGS),
            CommandRoute("GET", "/", decode_root),
            CommandRoute("GET", "/api/version", decode_version, description=described.VERSION),
            CommandRoute("GET", "/api/tags", decode_tags, description=described.TAGS),
            CommandRoute("GET", "/api/ps", decode_ps, description=described.PS),
            CommandRoute("POST", "/api/show", decode_show, description=described.SHOW),
            CommandRoute("POST", "/api/pull", decode_pull, description=described.PULL),
            CommandRoute("POST", "/api/push", decode_push, description=described.PUSH),
            CommandRoute("POST", "/api/create", decode_create, description=described.CREATE),
            CommandRoute("POST", "/api/copy", decode_copy, description=described.COPY),
            CommandRoute("DELETE", "/api/delete", decode_delete, description=described.DELETE),
            BlobRoute("/api/blobs"),
        ),
        encode_error=encode_error,
        error=ErrorBody,
    )
