"""Requests that need the tokenizer and the chat template only, over an engine of tokens."""

from __future__ import annotations

import time

from stoker.engine import Engine, Mode
from stoker.events import Detokenized, Event, Finished, Rendered, Timings, Tokenized, Usage
from stoker.request import (
    DetokenizeRequest,
    RenderRequest,
    TextPrompt,
    TokenizeRequest,
    TokenRequest,
)
from stoker.text.prompt import PromptEncoder


def told(
    request_id: int, request: TokenRequest, engine: Engine, prompts: PromptEncoder
) -> list[tuple[int, Event]]:
    """Answer a request: its events, all at once.

    Raises:
        InvalidRequestError: The prompt is empty or has tokens that do not exist.
        UnsupportedFeatureError: The model has no chat template, or the conversation has parts that
            are not text.
    """
    started_s = time.perf_counter()
    event: Tokenized | Detokenized | Rendered
    count = 0
    match request:
        case TokenizeRequest():
            event = _tokenized(request, engine, prompts)
            count = len(event.tokens)
        case DetokenizeRequest(tokens=tokens):
            prompts.check_tokens(tokens, "tokens")
            data = b"".join(map(engine.token_bytes, tokens))
            event = Detokenized(data.decode("utf-8", "replace"))
            count = len(tokens)
        case RenderRequest(prompt=prompt):
            event = Rendered(prompts.rendered(prompt))
    spent_s = time.perf_counter() - started_s
    last = Finished(Usage(count, 0), Timings(prefill_s=spent_s))
    return [(request_id, event), (request_id, last)]


def _tokenized(request: TokenizeRequest, engine: Engine, prompts: PromptEncoder) -> Tokenized:
    prompt = request.prompt
    as_prompt = request.add_special and request.parse_special and Mode.GENERATE in engine.info.modes
    if isinstance(prompt, TextPrompt) and (not as_prompt or not prompt.text):
        tokens = tuple(
            engine.encode(
                prompt.text,
                add_special=request.add_special,
                parse_special=request.parse_special,
            )
        )
    else:
        tokens = prompts.encode(prompt)
    pieces = tuple(map(engine.token_bytes, tokens)) if request.with_pieces else ()
    return Tokenized(tokens, pieces)
