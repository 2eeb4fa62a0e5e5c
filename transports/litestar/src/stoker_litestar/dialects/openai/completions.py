"""Text completions: from a request's bytes to the internal request."""

from __future__ import annotations

import functools
from typing import Any, TypeGuard

import msgspec

from stoker.dialect import Call
from stoker.errors import UnsupportedFeatureError
from stoker.request import GenerateRequest, TextPrompt, TokenPrompt
from stoker_litestar.dialects.json_body import decode_body, field_error
from stoker_litestar.dialects.openai.completion_fields import COMPLETION_FIELDS
from stoker_litestar.dialects.openai.completion_response import (
    CompletionEncoder,
    CompletionStreamEncoder,
)
from stoker_litestar.dialects.openai.wire.completion_request import CompletionRequest

_DECODER = msgspec.json.Decoder(CompletionRequest)


def decode_completion(body: bytes) -> Call:
    """Decode the body of `POST /v1/completions`.

    Raises:
        InvalidRequestError: A field is unknown, malformed, out of range or refused; names it.
    """
    wire = decode_body(_DECODER, body)
    COMPLETION_FIELDS.check(wire)
    prompt = _prompt(wire.prompt)
    if wire.echo and wire.logprobs is not None and (wire.n or 1) > 1:
        raise UnsupportedFeatureError(
            "echo: together with logprobs it takes one choice: leave n out.", param="echo"
        )
    request = GenerateRequest(
        model=wire.model,
        prompt=prompt,
        sampling=wire.sampling(logprobs=wire.logprobs),
        max_tokens=wire.max_tokens,
        stop=wire.stop_strings(),
        n=1 if wire.n is None else wire.n,
        constraint=wire.constraint(),
        ignore_end=bool(wire.ignore_eos),
        echo=bool(wire.echo),
    )
    include_usage = wire.include_usage()
    if wire.stream:
        encoder: Any = functools.partial(
            CompletionStreamEncoder,
            model=wire.model,
            n=request.n,
            include_usage=include_usage,
        )
    else:
        encoder = functools.partial(CompletionEncoder, model=wire.model, n=request.n)
    return Call(request, stream=bool(wire.stream), encoder=encoder)


def _prompt(wire: str | list[Any]) -> TextPrompt | TokenPrompt:
    """Read the four forms: a text, texts, tokens, lists of tokens."""
    if isinstance(wire, str):
        return TextPrompt(wire)
    if not wire:
        raise field_error("prompt", "it is empty")
    if _tokens(wire):
        return TokenPrompt(tuple(wire))
    if any(type(item) is not type(wire[0]) for item in wire):
        raise field_error("prompt", "expected a text, texts, tokens or lists of tokens")
    if len(wire) > 1:
        raise UnsupportedFeatureError(
            "prompt: several prompts in one request are not taken: send one request for each.",
            param="prompt",
        )
    return _prompt(wire[0])


def _tokens(wire: list[Any]) -> TypeGuard[list[int]]:
    return all(isinstance(item, int) for item in wire)
