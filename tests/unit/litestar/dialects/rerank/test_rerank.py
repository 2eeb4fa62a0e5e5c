"""Reranking: decoding of requests, encoding of answers."""

from __future__ import annotations

import json
from typing import Any

import pytest

from stoker.dialect import ResponseContext, ResponseEncoder
from stoker.errors import InvalidRequestError, OverloadedError, UnsupportedFeatureError
from stoker.events import Failed, Finished, Prefill, Ranking, Relevance, Usage
from stoker.request import MAX_INPUTS, RerankRequest
from stoker_litestar.dialects.fields import Treatment
from stoker_litestar.dialects.rerank.rerank import decode_rerank
from stoker_litestar.dialects.rerank.rerank_fields import RERANK_FIELDS
from stoker_litestar.dialects.rerank.wire.rerank import RerankBody

CONTEXT = ResponseContext(id="abc", created_s=1234)
DOCUMENTS = ["a", {"text": "b"}]


def body(**fields: Any) -> bytes:
    return json.dumps({"model": "m", "query": "q", "documents": DOCUMENTS} | fields).encode()


def answer(encoder: ResponseEncoder) -> Any:
    ranking = Ranking((Relevance(1, 0.75), Relevance(0, 0.5)))
    events = [Prefill(0, 8), ranking, Finished(Usage(8, 0))]
    return json.loads(b"".join(encoder.feed(event) for event in events))


def test_documents_are_texts_or_objects() -> None:
    """Both forms of a document mean its text."""
    call = decode_rerank(body(top_n=1))

    assert RerankRequest("m", "q", ("a", "b"), top_n=1) == call.request
    assert not call.stream


def test_the_table_is_complete() -> None:
    """Every field of the body has its treatment."""
    assert set(RerankBody.__struct_fields__) == set(RERANK_FIELDS)


@pytest.mark.parametrize(
    "name",
    [name for name, rule in RERANK_FIELDS.items() if rule.treatment is Treatment.REFUSED],
)
def test_refused_fields_are_named(name: str) -> None:
    """A refused field is an error that names it; null is unset."""
    decode_rerank(body(**{name: None}))

    with pytest.raises(UnsupportedFeatureError, match=f"^{name}: "):
        decode_rerank(body(**{name: 1}))


@pytest.mark.parametrize(
    "name",
    [name for name, rule in RERANK_FIELDS.items() if rule.treatment is Treatment.NO_OP],
)
def test_a_no_op_changes_nothing(name: str) -> None:
    """The request is the same with the field."""
    value = {"priority": 1}.get(name, "x")

    assert decode_rerank(body()).request == decode_rerank(body(**{name: value})).request


def test_harmless_values_are_let_through() -> None:
    """A refused field that asks for what happens anyway is fine."""
    decode_rerank(body(truncation=False, return_embeddings=False))


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"documents": []}, "documents"),
        ({"documents": ["a"] * (MAX_INPUTS + 1)}, "documents"),
        ({"documents": [1]}, "documents[0]"),
        ({"documents": [{"text": "a", "title": "b"}]}, "documents[0].title"),
        ({"top_n": 0}, "top_n"),
        ({"query": None}, "query"),
        ({"truncate": True}, "truncate"),
    ],
)
def test_wrong_values_are_named(fields: dict[str, Any], param: str) -> None:
    """The error carries the field."""
    with pytest.raises(InvalidRequestError) as caught:
        decode_rerank(body(**fields))

    assert param == caught.value.param


def test_the_best_comes_first() -> None:
    """The answer has the ranking as it is, and the usage."""
    assert {
        "id": "rerank-abc",
        "object": "list",
        "model": "m",
        "results": [
            {"index": 1, "relevance_score": 0.75},
            {"index": 0, "relevance_score": 0.5},
        ],
        "usage": {"prompt_tokens": 8, "total_tokens": 8},
    } == answer(decode_rerank(body()).encoder(CONTEXT))


def test_documents_come_back_when_asked_for() -> None:
    """Each result has its own document then."""
    found = answer(decode_rerank(body(return_documents=True)).encoder(CONTEXT))

    assert [{"text": "b"}, {"text": "a"}] == [item["document"] for item in found["results"]]


def test_a_failure_has_the_form_of_errors() -> None:
    """An encoder that is told of a failure says so."""
    failed = Failed(OverloadedError("Full.", retry_after_s=1))

    assert (
        "Full."
        == json.loads(decode_rerank(body()).encoder(CONTEXT).feed(failed))["error"]["message"]
    )
