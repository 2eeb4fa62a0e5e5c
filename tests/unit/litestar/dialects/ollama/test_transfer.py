"""Transfers: the lines that clients wait for."""

from __future__ import annotations

import json
from typing import Any

import pytest

from stoker.errors import InvalidRequestError, TransferError
from stoker.events import Failed
from stoker.management import (
    CreateModel,
    ModelPushed,
    ModelRemoved,
    ModelStored,
    PullModel,
    PushModel,
    RemoveModel,
    TagModel,
)
from stoker.store import Progress
from stoker_litestar.dialects.ollama.transfer import (
    decode_copy,
    decode_create,
    decode_delete,
    decode_pull,
    decode_push,
)

from .conftest import CARD, DIGEST, lines, played, query

SHORT = DIGEST.encoded[:12]
STORED = ModelStored(CARD)


def test_a_pull_tells_of_every_blob() -> None:
    """The phrases are Ollama's, and a blob is known by its digest."""
    call = decode_pull(query({"model": "ai/x"}))

    told = lines(
        played(
            call,
            [
                Progress("pulling", "x.gguf", 0, 7, DIGEST),
                Progress("waiting to try again"),
                Progress("pulling", "x.gguf", 7, 7, DIGEST),
                STORED,
            ],
        )
    )

    assert PullModel("ai/x") == call.command
    blob = {"status": f"pulling {SHORT}", "digest": str(DIGEST), "total": 7}
    assert [
        {"status": "pulling manifest"},
        blob | {"completed": 0},
        {"status": "waiting to try again"},
        blob | {"completed": 7},
        {"status": "verifying sha256 digest"},
        {"status": "writing manifest"},
        {"status": "success"},
    ] == told


def test_a_pull_of_what_is_here_succeeds_at_once() -> None:
    """Without any progress the phrases come all the same."""
    told = lines(played(decode_pull(query({"name": "ai/x"})), [STORED]))

    assert [
        "pulling manifest",
        "verifying sha256 digest",
        "writing manifest",
        "success",
    ] == [line["status"] for line in told]


def test_without_a_stream_there_is_one_object() -> None:
    """Progress is for who asked for it."""
    call = decode_pull(query({"model": "ai/x", "stream": False}))

    data = played(call, [Progress("pulling", "x.gguf", 0, 7, DIGEST), STORED])

    assert {"status": "success"} == json.loads(data)
    assert not call.stream


def test_a_push() -> None:
    """The other direction has phrases of its own."""
    call = decode_push(query({"model": "ai/x"}))

    told = lines(played(call, [Progress("pushing", "x", 3, 7, DIGEST), ModelPushed(DIGEST)]))

    assert PushModel("ai/x") == call.command
    assert [
        "retrieving manifest",
        f"pushing {SHORT}",
        "pushing manifest",
        "success",
    ] == [line["status"] for line in told]


def test_a_failure_is_an_error_in_band() -> None:
    """After the first line an error is one more, and the last."""
    events = [Progress("pulling", "x", 3, 7, DIGEST), Failed(TransferError("It broke off."))]

    told = lines(played(decode_pull(query({"model": "ai/x"})), events))

    assert {"error": "It broke off."} == told[-1]


def test_models_are_made_of_blobs_or_of_models() -> None:
    """Files have the digests of blobs; `from` gives another name."""
    of_files = decode_create(
        query({"model": "m", "files": {"x.gguf": str(DIGEST)}, "license": ["a", "", "b"]})
    )
    of_model = decode_create(query({"model": "m", "from": "base"}))

    assert CreateModel("m", files={"x.gguf": DIGEST}, licenses=("a", "b")) == of_files.command
    assert CreateModel("m", origin="base") == of_model.command
    assert ["parsing model", "writing manifest", "success"] == [
        line["status"] for line in lines(played(of_model, [STORED]))
    ]


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({}, "files"),
        ({"from": "a", "files": {"x.gguf": str(DIGEST)}}, "files"),
        ({"files": {"x.gguf": "sha256:none"}}, "files.x.gguf"),
        ({"from": "a", "license": "MIT"}, "license"),
        ({"from": "a", "name": "other"}, "name"),
        ({"from": "a", "system": "Be brief."}, "system"),
    ],
)
def test_wrong_recipes_are_refused(fields: dict[str, Any], param: str) -> None:
    """The error names what is wrong."""
    with pytest.raises(InvalidRequestError) as caught:
        decode_create(query({"model": "m"} | fields))

    assert param == caught.value.param


def test_copy_and_delete_have_no_body() -> None:
    """The status says it all."""
    copy = decode_copy(query({"source": "a", "destination": "b"}))
    delete = decode_delete(query({"model": "a"}))

    assert TagModel("a", "b") == copy.command
    assert RemoveModel("a") == delete.command
    assert b"" == played(copy, [STORED])
    assert b"" == played(delete, [ModelRemoved(())])


def test_a_name_is_required() -> None:
    """Neither `model` nor `name` is an error."""
    with pytest.raises(InvalidRequestError) as caught:
        decode_pull(query({}))

    assert "model" == caught.value.param
