"""Text completions: from a request's bytes to the internal request."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any, TypeGuard

import msgspec

from stoker.dialect import Call
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
    prompt, *more = _with_suffix(_prompts(wire.prompt), wire.suffix)
    request = GenerateRequest(
        model=wire.model,
        prompt=prompt,
        sampling=wire.sampling(logprobs=wire.logprobs),
        max_tokens=wire.max_tokens,
        stop=wire.stop_strings(),
        n=1 if wire.n is None else wire.n,
        constraint=wire.constraint(),
        ignore_end=bool(wire.ignore_eos),
        more_prompts=tuple(more),
        echo=bool(wire.echo),
    )
    include_usage = wire.include_usage()
    if wire.stream:
        encoder: Any = functools.partial(
            CompletionStreamEncoder,
            model=wire.model,
            n=request.choices,
            include_usage=include_usage,
        )
    else:
        encoder = functools.partial(CompletionEncoder, model=wire.model, n=request.choices)
    return Call(request, stream=bool(wire.stream), encoder=encoder)


def _prompts(wire: str | list[Any]) -> list[TextPrompt | TokenPrompt]:
    """Read the four forms: a text, texts, tokens, lists of tokens."""
    if isinstance(wire, str):
        return [TextPrompt(wire)]
    if not wire:
        raise field_error("prompt", "it is empty")
    if _tokens(wire):
        return [TokenPrompt(tuple(wire))]
    if any(type(item) is not type(wire[0]) for item in wire):
        raise field_error("prompt", "expected a text, texts, tokens or lists of tokens")
    for i, item in enumerate(wire):
        if not item and isinstance(item, list):
            raise field_error(f"prompt[{i}]", "it is empty")
    return [
        TextPrompt(each) if isinstance(each, str) else TokenPrompt(tuple(each)) for each in wire
    ]


def _with_suffix(
    prompts: Sequence[TextPrompt | TokenPrompt], suffix: str | None
) -> Sequence[TextPrompt | TokenPrompt]:
    if not suffix:
        return prompts
    texts = [item for item in prompts if isinstance(item, TextPrompt)]
    if len(texts) < len(prompts):
        raise field_error("suffix", "it goes with prompts that are texts")
    return [TextPrompt(item.text, suffix) for item in texts]


def _tokens(wire: list[Any]) -> TypeGuard[list[int]]:
    return all(isinstance(item, int) for item in wire)
