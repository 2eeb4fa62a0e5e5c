"""The models API."""

from __future__ import annotations

import json

from stoker.digest import Digest
from stoker.host import ModelCard
from stoker_litestar.dialects.openai.models import encode_model, encode_models

CARD = ModelCard(
    name="ai/smollm2", digest=Digest.of(b""), size_bytes=1, created_s=12.9, store="oci"
)
OBJECT = {"id": "ai/smollm2", "created": 12, "owned_by": "oci", "object": "model"}


def test_models_are_a_list() -> None:
    """The list has the objects in the host's order."""
    assert {"data": [OBJECT], "object": "list"} == json.loads(encode_models([CARD]))
    assert {"data": [], "object": "list"} == json.loads(encode_models([]))


def test_a_model_is_an_object() -> None:
    """One model stands alone."""
    assert OBJECT == json.loads(encode_model(CARD))
