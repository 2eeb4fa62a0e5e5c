"""The requests of lm-evaluation-harness, byte for byte, and what it reads of the answers.

Its package is too large to be installed for this, so its bodies are written down here, as
`lm_eval.models.openai_completions` of version 0.4.13 makes them. It has the tokenizer on its side
and sends tokens.
https://github.com/EleutherAI/lm-evaluation-harness/blob/main/lm_eval/models/openai_completions.py
"""

from __future__ import annotations

from typing import Any

import pytest
import requests
from stoker_process import MODEL, Server

pytestmark = pytest.mark.model

CONTEXT = "The capital of France is"
QUESTION = "What is the capital of France? Answer in one sentence."
SEED = 1234


def _post(server: Server, path: str, body: dict[str, Any]) -> dict[str, Any]:
    # Without a key, the header is there all the same.
    headers = {"Authorization": "Bearer "}
    answer = requests.post(f"{server.url}{path}", json=body, headers=headers, timeout=60)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def _tokens(server: Server, text: str) -> list[int]:
    """What the harness's own tokenizer gives."""
    body = {"model": MODEL, "prompt": text, "add_special_tokens": False}
    tokens: list[int] = _post(server, "/tokenize", body)["tokens"]
    return tokens


def _likelihoods(
    server: Server, pairs: list[tuple[list[int], list[int]]]
) -> list[tuple[float, bool]]:
    """How likely each continuation is after its context, and whether it is the likeliest."""
    answer = _post(
        server,
        "/v1/completions",
        {
            "model": MODEL,
            "prompt": [context + continuation for context, continuation in pairs],
            "temperature": 0,
            "max_tokens": 1,
            "logprobs": 1,
            "seed": SEED,
            "echo": True,
        },
    )
    found = []
    choices = sorted(answer["choices"], key=lambda choice: choice["index"])
    for (context, _), choice in zip(pairs, choices, strict=True):
        logprobs = choice["logprobs"]["token_logprobs"][len(context) : -1]
        top = choice["logprobs"]["top_logprobs"][len(context) : -1]
        greedy = all(
            logprob == max(best.values()) for logprob, best in zip(logprobs, top, strict=True)
        )
        found.append((sum(logprobs), greedy))
    return found


def test_continuations_are_compared(server: Server) -> None:
    """Several in one request, of different lengths, as with a batch size above one."""
    context = _tokens(server, CONTEXT)
    continuations = (" Paris", " a banana and nothing else", " London")
    pairs = [(context, _tokens(server, each)) for each in continuations]

    (paris, is_best), (banana, is_best_too), (london, _) = _likelihoods(server, pairs)

    assert paris > london > banana
    assert (True, False) == (is_best, is_best_too)


def test_a_batch_says_what_single_requests_say(server: Server) -> None:
    """Up to the rounding of kernels."""
    context = _tokens(server, CONTEXT)
    pairs = [(context, _tokens(server, each)) for each in (" Paris", " London")]

    together = _likelihoods(server, pairs)
    alone = [_likelihoods(server, [pair])[0] for pair in pairs]

    for (first, _), (second, _) in zip(together, alone, strict=True):
        assert first == pytest.approx(second, abs=0.5)


def test_answers_end_at_a_text(server: Server) -> None:
    """`generate_until`, with a batch of prompts in tokens and the texts that end an answer."""
    prompts = [_tokens(server, CONTEXT), _tokens(server, "One, two, three,")]

    answer = _post(
        server,
        "/v1/completions",
        {
            "prompt": prompts,
            "model": MODEL,
            "max_tokens": 16,
            "temperature": 0,
            "stop": ["\n\n", ".", "<|im_end|>"],
            "seed": SEED,
        },
    )

    texts = {choice["index"]: choice["text"] for choice in answer["choices"]}
    assert {0, 1} == set(texts)
    assert "Paris" in texts[0]
    assert all("." not in text and "\n\n" not in text for text in texts.values())


@pytest.mark.parametrize("extra", [{}, {"type": "text"}], ids=["0.4.13", "0.4.9"])
def test_a_chat_is_answered(server: Server, extra: dict[str, str]) -> None:
    """`local-chat-completions`; in older versions its messages have a type besides."""
    answer = _post(
        server,
        "/v1/chat/completions",
        {
            "messages": [{"role": "user", "content": QUESTION, **extra}],
            "model": MODEL,
            "max_tokens": 30,
            "temperature": 0,
            "stop": ["\n\n", "</s>"],
            "seed": SEED,
        },
    )

    assert "Paris" in answer["choices"][0]["message"]["content"]
