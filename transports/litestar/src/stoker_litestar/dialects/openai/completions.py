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
    request = GenerateRequest(
        model=wire.model,
        prompt=prompt,
        sampling=wire.sampling(logprobs=wire.logprobs),
        max_tokens=wire.max_tokens,
        stop=wire.stop_strings(),
        n=1 if wire.n is None else wire.n,
        constraint=wire.constraint(),
        ignore_end=bool(wire.ignore_eos),
    )
    include_usage = wire.include_usage()
    echo = _echo(wire, prompt)
    if wire.stream:
        encoder: Any = functools.partial(
            CompletionStreamEncoder,
            model=wire.model,
            n=request.n,
            echo=echo,
            include_usage=include_usage,
        )
    else:
        encoder = functools.partial(CompletionEncoder, model=wire.model, n=request.n, echo=echo)
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


def _echo(wire: CompletionRequest, prompt: TextPrompt | TokenPrompt) -> str:
    """The text to put before every answer."""
    if not wire.echo:
        return ""
    if wire.logprobs is not None:
        raise UnsupportedFeatureError(
            "echo: the prompt's log probabilities are not reported: leave out echo or logprobs.",
            param="echo",
        )
    if isinstance(prompt, TokenPrompt):
        raise UnsupportedFeatureError(
            "echo: it needs a prompt of text, not of tokens.", param="echo"
        )
    return prompt.text
