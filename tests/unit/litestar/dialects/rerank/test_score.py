"""Scores: decoding of requests, encoding of answers."""

from __future__ import annotations

import json
from typing import Any

import pytest

from stoker.dialect import ResponseContext
from stoker.errors import InvalidRequestError, UnsupportedFeatureError
from stoker.events import Finished, Prefill, Ranking, Relevance, Usage
from stoker.request import MAX_INPUTS, RerankRequest
from stoker_litestar.dialects.fields import Treatment
from stoker_litestar.dialects.rerank.score import decode_score
from stoker_litestar.dialects.rerank.score_fields import SCORE_FIELDS
from stoker_litestar.dialects.rerank.wire.score import ScoreBody

PARAMS = ("text_1", "text_2")


def body(**fields: Any) -> bytes:
    return json.dumps({"model": "m", "text_1": "q", "text_2": ["a", "b"]} | fields).encode()


@pytest.mark.parametrize(
    ("one", "other", "query", "documents"),
    [
        ("q", "a", "q", ("a",)),
        ("q", ["a", "b"], "q", ("a", "b")),
        (["q"], ["a", "b"], "q", ("a", "b")),
        (["q", "r"], ["a", "b"], ("q", "r"), ("a", "b")),
    ],
)
def test_pairs(one: Any, other: Any, query: Any, documents: tuple[str, ...]) -> None:
    """One text with one, one with many, or each with its own."""
    call = decode_score(body(text_1=one, text_2=other))

    assert RerankRequest("m", query, documents, params=PARAMS) == call.request
    assert not call.stream


def test_the_table_is_complete() -> None:
    """Every field of the body has its treatment."""
    assert set(ScoreBody.__struct_fields__) == set(SCORE_FIELDS)


@pytest.mark.parametrize(
    "name", [name for name, rule in SCORE_FIELDS.items() if rule.treatment is Treatment.REFUSED]
)
def test_refused_fields_are_named(name: str) -> None:
    """A refused field is an error that names it; null is unset."""
    decode_score(body(**{name: None}))

    with pytest.raises(UnsupportedFeatureError, match=f"^{name}: "):
        decode_score(body(**{name: 0}))


def test_what_changes_nothing_is_let_through() -> None:
    """A no-op, and a refused field that asks for what happens anyway."""
    assert decode_score(body()).request == decode_score(body(user="x", use_activation=True)).request


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"text_1": ["q", "r", "s"]}, "text_1"),
        ({"text_1": []}, "text_1"),
        ({"text_1": [1]}, "text_1[0]"),
        ({"text_2": []}, "text_2"),
        ({"text_2": ["a"] * (MAX_INPUTS + 1)}, "text_2"),
        ({"documents": ["a"]}, "documents"),
    ],
)
def test_wrong_values_are_named(fields: dict[str, Any], param: str) -> None:
    """The error carries the field."""
    with pytest.raises(InvalidRequestError) as caught:
        decode_score(body(**fields))

    assert param == caught.value.param


def test_scores_come_in_the_order_of_the_pairs() -> None:
    """Whichever is best, and with the usage."""
    encoder = decode_score(body()).encoder(ResponseContext(id="abc", created_s=1234))
    ranking = Ranking((Relevance(1, 0.75), Relevance(0, 0.5)))

    events = [Prefill(0, 8), ranking, Finished(Usage(8, 0))]

    assert {
        "id": "score-abc",
        "object": "list",
        "created": 1234,
        "model": "m",
        "data": [
            {"index": 0, "object": "score", "score": 0.5},
            {"index": 1, "object": "score", "score": 0.75},
        ],
        "usage": {"prompt_tokens": 8, "total_tokens": 8},
    } == json.loads(b"".join(map(encoder.feed, events)))
