"""Answers that are begun, with the real packages of three APIs and the real model."""

from __future__ import annotations

from typing import Any

import anthropic
import ollama
import openai
import pytest
from stoker_process import MODEL, Server

pytestmark = pytest.mark.model

COUNTING: Any = [
    {"role": "user", "content": "Count to five."},
    {"role": "assistant", "content": "1, 2,"},
]
EXPECTED = " 3, 4, 5"


def test_all_apis_go_on_where_the_answer_ends(server: Server) -> None:
    """Each tells what follows, and nothing of what was there."""
    with openai.OpenAI(base_url=f"{server.url}/v1", api_key="none") as client:
        chat = client.chat.completions.create(
            model=MODEL,
            messages=COUNTING,
            temperature=0,
            max_tokens=8,
            extra_body={"continue_final_message": True},
        )
    with anthropic.Anthropic(base_url=server.url, api_key="none") as messages:
        message = messages.messages.create(
            model=MODEL, messages=COUNTING, max_tokens=8, extra_body={"temperature": 0}
        )
    with ollama.Client(host=server.url) as lines:
        line = lines.chat(MODEL, messages=COUNTING, options={"temperature": 0, "num_predict": 8})

    assert EXPECTED == chat.choices[0].message.content
    assert [EXPECTED] == [block.text for block in message.content if block.type == "text"]
    assert EXPECTED == line.message.content
