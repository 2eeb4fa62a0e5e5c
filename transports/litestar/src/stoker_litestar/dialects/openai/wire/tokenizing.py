"""The bodies of the tokenizer's routes, in the forms of vLLM and llama-server.

https://docs.vllm.ai/en/latest/serving/openai_compatible_server.html (Tokenizer API),
https://github.com/ggml-org/llama.cpp/blob/master/tools/server/README.md (POST /tokenize)
"""

from __future__ import annotations

from typing import Any

import msgspec

from stoker_litestar.dialects.openai.wire.chat_message import ChatMessage
from stoker_litestar.dialects.openai.wire.chat_request import CustomTool, FunctionTool
from stoker_litestar.dialects.openai.wire.generation import TokenId


class TokenizeBody(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What to tokenize: a text, under either name, or a conversation."""

    model: str
    prompt: str | None = None
    content: str | None = None
    """llama-server's name for the text."""
    messages: list[ChatMessage] | None = None
    tools: list[FunctionTool | CustomTool] | None = None
    add_generation_prompt: bool | None = None
    continue_final_message: bool | None = None
    chat_template_kwargs: dict[str, Any] | None = None
    add_special_tokens: bool | None = None
    add_special: bool | None = None
    """llama-server's name for it."""
    parse_special: bool | None = None
    return_token_strs: bool | None = None
    with_pieces: bool | None = None
    """llama-server's name for it; a token becomes an object."""


class Piece(msgspec.Struct, frozen=True):
    """A token with its text, or with its bytes where they are no whole characters."""

    id: int
    piece: str | list[int]


class TokenizeAnswer(msgspec.Struct, frozen=True, omit_defaults=True):
    """Tokens."""

    count: int
    tokens: list[int | Piece]
    max_model_len: int | None = None
    token_strs: list[str] | None = None


class DetokenizeBody(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Tokens to make text of."""

    model: str
    tokens: list[TokenId]


class DetokenizeAnswer(msgspec.Struct, frozen=True):
    """A text, under the names of both."""

    prompt: str
    content: str


class TemplateBody(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A conversation to write out."""

    model: str
    messages: list[ChatMessage]
    tools: list[FunctionTool | CustomTool] | None = None
    add_generation_prompt: bool | None = None
    continue_final_message: bool | None = None
    chat_template_kwargs: dict[str, Any] | None = None


class TemplateAnswer(msgspec.Struct, frozen=True):
    """The text."""

    prompt: str


class InputTokens(msgspec.Struct, frozen=True):
    """How many tokens a request has before anything is generated."""

    input_tokens: int
    object: str = "response.input_tokens"
