"""Embeddings in Ollama's two forms."""

from __future__ import annotations

import array
import json
from typing import Any

import pytest

from stoker.dialect import Call
from stoker.errors import InvalidRequestError, RunnerCrashedError
from stoker.events import Embedding, Event, Failed, Prefill
from stoker.management import LoadModel, ModelLoaded
from stoker.request import EmbedRequest, TextPrompt
from stoker_litestar.dialects.ollama.embedding import decode_embed, decode_embeddings

from .conftest import FINISHED, body, played


def vector(*numbers: float) -> bytes:
    """A vector as engines give it."""
    return array.array("f", numbers).tobytes()


EVENTS: list[Event] = [
    Prefill(5, 5),
    Embedding(vector(0.5, 1), index=1),
    Embedding(vector(0.25, 2), index=0),
    FINISHED,
]


def test_many_texts() -> None:
    """The vectors come in the order of the texts, with the count of tokens."""
    call = decode_embed(body({"model": "m", "input": ["a", "b"], "dimensions": 2}))

    assert isinstance(call, Call)
    assert EmbedRequest("m", (TextPrompt("a"), TextPrompt("b")), dimensions=2) == call.request
    assert {
        "model": "m",
        "embeddings": [[0.25, 2], [0.5, 1]],
        "total_duration": 2_500_000_000,
        "load_duration": 2_000_000_000,
        "prompt_eval_count": 5,
    } == json.loads(played(call, EVENTS))


def test_the_older_form() -> None:
    """One prompt, one vector, as the model made it."""
    call = decode_embeddings(body({"model": "m", "prompt": "a", "keep_alive": 5}))

    assert isinstance(call, Call)
    expected = EmbedRequest("m", (TextPrompt("a"),), normalize=False, keep_alive_s=5)
    assert expected == call.request
    assert {"embedding": [0.25, 2]} == json.loads(played(call, EVENTS[2:]))


@pytest.mark.parametrize(
    ("decode", "fields", "empty"),
    [
        (decode_embed, {"input": []}, []),
        (decode_embeddings, {"prompt": ""}, []),
        (decode_embeddings, {}, []),
    ],
)
def test_nothing_to_embed_loads_the_model(
    decode: Any, fields: dict[str, Any], empty: list[Any]
) -> None:
    """As with prompts."""
    call = decode(body({"model": "m", "keep_alive": 7} | fields))

    answer = json.loads(played(call, [ModelLoaded(0.5)]))
    assert LoadModel("m", keep_alive_s=7) == call.command
    assert empty == answer.get("embeddings", answer.get("embedding"))


def test_a_failure() -> None:
    """It has the form of all errors."""
    call = decode_embed(body({"model": "m", "input": "a"}))

    assert b'{"error":"It died."}' == played(call, [Failed(RunnerCrashedError("It died."))])


def test_what_would_cut_texts_is_refused() -> None:
    """Nothing is cut off in silence, or at all."""
    with pytest.raises(InvalidRequestError) as caught:
        decode_embed(body({"model": "m", "input": "a", "truncate": True}))

    assert "truncate" == caught.value.param
