"""The routes of Ollama's API."""

from __future__ import annotations

from stoker.dialect import AnswerRoute, BlobRoute, CommandRoute, Dialect
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


def ollama_dialect() -> Dialect:
    """Make the dialect."""
    return Dialect(
        routes=(
            AnswerRoute("/api/chat", decode_chat),
            AnswerRoute("/api/generate", decode_generate),
            AnswerRoute("/api/embed", decode_embed),
            AnswerRoute("/api/embeddings", decode_embeddings),
            CommandRoute("GET", "/", decode_root),
            CommandRoute("GET", "/api/version", decode_version),
            CommandRoute("GET", "/api/tags", decode_tags),
            CommandRoute("GET", "/api/ps", decode_ps),
            CommandRoute("POST", "/api/show", decode_show),
            CommandRoute("POST", "/api/pull", decode_pull),
            CommandRoute("POST", "/api/push", decode_push),
            CommandRoute("POST", "/api/create", decode_create),
            CommandRoute("POST", "/api/copy", decode_copy),
            CommandRoute("DELETE", "/api/delete", decode_delete),
            BlobRoute("/api/blobs"),
        ),
        encode_error=encode_error,
    )
