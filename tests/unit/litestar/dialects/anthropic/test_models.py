"""Models in Anthropic's form."""

from __future__ import annotations

import json

from stoker.digest import Digest
from stoker.host import ModelCard
from stoker_litestar.dialects.anthropic.models import encode_model, encode_models

CARD = ModelCard(
    name="ai/smollm2",
    digest=Digest.of(b""),
    size_bytes=1,
    created_s=1e9,
    store="oci",
    context_length=2048,
)
OBJECT = {
    "type": "model",
    "id": "ai/smollm2",
    "display_name": "ai/smollm2",
    "created_at": "2001-09-09T01:46:40Z",
    "lifecycle": "active",
    "max_input_tokens": 2048,
    "max_tokens": 2048,
    "capabilities": None,
}


def test_a_model() -> None:
    """Every field is there."""
    assert OBJECT == json.loads(encode_model(CARD))


def test_the_list_has_one_page() -> None:
    """All models are on it; without any it has no first and no last."""
    assert {
        "data": [OBJECT],
        "has_more": False,
        "first_id": "ai/smollm2",
        "last_id": "ai/smollm2",
    } == json.loads(encode_models([CARD]))
    assert {"data": [], "has_more": False, "first_id": None, "last_id": None} == json.loads(
        encode_models([])
    )
