"""Requests of all dialects for 16 tokens of the instant model."""

from __future__ import annotations

from api_load.connection import post
from api_load.toy_server import MODEL
from api_load.workload import CHAT_PATH

TOKENS = 16
_MESSAGES = [{"role": "user", "content": "Say something."}]
CHAT = {"model": MODEL, "messages": _MESSAGES, "max_tokens": TOKENS, "temperature": 0}
_OLLAMA = {"model": MODEL, "messages": _MESSAGES, "options": {"num_predict": TOKENS}}
_RESPONSES = {
    "model": MODEL,
    "input": "Say something.",
    "max_output_tokens": TOKENS,
    "store": False,
}


def all_requests(url: str) -> dict[str, bytes]:
    """By the dialect's name; the streams are those with `stream` in it."""
    return {
        "chat": post(url, CHAT_PATH, CHAT),
        "chat, stream": post(url, CHAT_PATH, CHAT | {"stream": True}),
        "messages": post(url, "/v1/messages", CHAT),
        "messages, stream": post(url, "/v1/messages", CHAT | {"stream": True}),
        "ollama, stream": post(url, "/api/chat", _OLLAMA),
        "responses": post(url, "/v1/responses", _RESPONSES),
    }
