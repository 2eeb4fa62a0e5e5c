"""Embeddings: decoding of requests, encoding of answers."""

from __future__ import annotations

import base64
import json
import struct
from typing import Any

import pytest
from encoded import feed

from stoker.errors import InvalidRequestError
from stoker.events import Embedding, Finished, Prefill, Usage
from stoker.request import MAX_INPUTS, EmbedRequest, TextPrompt, TokenPrompt
from stoker_litestar.dialects.openai.embeddings import decode_embeddings

from .conftest import CONTEXT

EVENTS = [
    Prefill(0, 5),
    Embedding(struct.pack("<2f", 0.5, -1.0), 1),
    Embedding(struct.pack("<2f", 0.25, 2.0), 0),
    Finished(Usage(5, 0)),
]


def body(**fields: Any) -> bytes:
    return json.dumps({"model": "m", "input": "Hi"} | fields).encode()


@pytest.mark.parametrize(
    ("input_", "expected"),
    [
        ("Hi", [TextPrompt("Hi")]),
        (["Hi", ""], [TextPrompt("Hi"), TextPrompt("")]),
        ([1, 2, 3], [TokenPrompt((1, 2, 3))]),
        ([[1, 2], [3]], [TokenPrompt((1, 2)), TokenPrompt((3,))]),
    ],
)
def test_all_forms_of_an_input(input_: Any, expected: list[TextPrompt | TokenPrompt]) -> None:
    """One text or several, as text or as tokens."""
    call = decode_embeddings(body(input=input_))

    assert EmbedRequest("m", tuple(expected)) == call.request
    assert not call.stream


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"input": []}, "input"),
        ({"input": ["a", 1]}, "input"),
        ({"input": [[1], "a"]}, "input"),
        ({"input": [-1]}, "input[0]"),
        ({"input": ["a"] * (MAX_INPUTS + 1)}, "input"),
        ({"input": None}, "input"),
        ({"dimensions": 0}, "dimensions"),
        ({"encoding_format": "hex"}, "encoding_format"),
        ({"truncate": True}, "truncate"),
    ],
)
def test_wrong_values_are_named(fields: dict[str, Any], param: str) -> None:
    """The error carries the field."""
    with pytest.raises(InvalidRequestError) as caught:
        decode_embeddings(body(**fields))

    assert param == caught.value.param


def test_the_answer_has_the_vectors_in_order() -> None:
    """Whatever order they come in, the vectors go out by index, as numbers."""
    encoder = decode_embeddings(body(input=["a", "b"])).encoder(CONTEXT)

    assert {
        "object": "list",
        "data": [
            {"object": "embedding", "index": 0, "embedding": [0.25, 2.0]},
            {"object": "embedding", "index": 1, "embedding": [0.5, -1.0]},
        ],
        "model": "m",
        "usage": {"prompt_tokens": 5, "total_tokens": 5},
    } == json.loads(feed(encoder, EVENTS))


def test_base64_carries_the_bytes() -> None:
    """In base64 are 32-bit floats, little-endian, which is what clients unpack."""
    call = decode_embeddings(body(input=["a", "b"], encoding_format="base64"))

    answer = json.loads(feed(call.encoder(CONTEXT), EVENTS))

    data = base64.b64decode(answer["data"][0]["embedding"], validate=True)
    assert (0.25, 2.0) == struct.unpack("<2f", data)
