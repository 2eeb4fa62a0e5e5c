"""Lists and descriptions of models."""

from __future__ import annotations

import json
from typing import Any

import attrs
import pytest

from stoker.artifact import ModelFacts
from stoker.dialect import CommandQuery
from stoker.engine import Mode
from stoker.errors import ModelNotFoundError
from stoker.events import Failed
from stoker.host import RunnerState, RunnerStatus
from stoker.management import (
    Capability,
    ListLoaded,
    ListModels,
    LoadedList,
    LoadedModel,
    ModelDetails,
    ModelList,
    ModelShown,
    ShowModel,
    Version,
)
from stoker_litestar.dialects.ollama.models import (
    API_VERSION,
    decode_ps,
    decode_root,
    decode_show,
    decode_tags,
    decode_version,
)
from stoker_litestar.dialects.ollama.names import tagged

from .conftest import CARD, DIGEST, played, query

NOTHING = CommandQuery()
FACTS = ModelFacts(
    format="gguf",
    architecture="llama",
    parameters="135M",
    quantization="Q4_1",
    context_length=8192,
    license="apache-2.0",
)
DETAILS = {
    "parent_model": "",
    "format": "gguf",
    "family": "llama",
    "families": ["llama"],
    "parameter_size": "135M",
    "quantization_level": "Q4_1",
    "context_length": 8192,
}
STATUS = RunnerStatus(
    model="ai/x",
    digest=DIGEST,
    backend="llama.cpp",
    state=RunnerState.READY,
    pid=1,
    active_requests=0,
    context_length=4096,
    devices=("CUDA0: NVIDIA H100",),
    memory_bytes=100,
    expires_in_s=60.0,
    modes=frozenset({Mode.GENERATE}),
)


def test_the_list_of_models() -> None:
    """Names have tags, digests no algorithm, and the newest is first."""
    newer = attrs.evolve(CARD, name="team/y:1", created_s=2000.0, facts=FACTS)
    call = decode_tags(NOTHING)

    first, second = json.loads(played(call, [ModelList((CARD, newer))]))["models"]

    assert ListModels() == call.command
    assert {
        "name": "team/y:1",
        "model": "team/y:1",
        "modified_at": "1970-01-01T00:33:20Z",
        "size": 7,
        "digest": DIGEST.encoded,
        "details": DETAILS,
    } == first
    assert "ai/x:latest" == second["name"]
    assert second["details"]["families"] is None
    assert "" == second["details"]["format"]


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, {"size_vram": 100, "expires_at": "1970-01-01T00:21:34Z"}),
        ({"devices": ("CPU",)}, {"size_vram": 0}),
        ({"devices": (), "memory_bytes": None, "planned_bytes": 70}, {"size": 70, "size_vram": 0}),
        ({"expires_in_s": None}, {"expires_at": "9999-12-31T23:59:59Z"}),
        ({"expires_in_s": 1e18}, {"expires_at": "9999-12-31T23:59:59Z"}),
        ({"context_length": None}, {"context_length": 0}),
    ],
)
def test_the_list_of_loaded_models(changes: dict[str, Any], expected: dict[str, Any]) -> None:
    """Memory on a device counts as its, and what stays for ever ends with the calendar."""
    model = LoadedModel(attrs.evolve(STATUS, **changes), attrs.evolve(CARD, facts=FACTS))
    call = decode_ps(NOTHING)

    (found,) = json.loads(played(call, [LoadedList((model,))]))["models"]

    assert ListLoaded() == call.command
    assert expected == {name: found[name] for name in expected}
    assert ("ai/x:latest", DETAILS) == (found["name"], found["details"])


def test_a_loaded_model_whose_name_is_gone() -> None:
    """It is listed with what is known of it."""
    (found,) = json.loads(played(decode_ps(NOTHING), [LoadedList((LoadedModel(STATUS, None),))]))[
        "models"
    ]

    assert "" == found["details"]["family"]


def test_a_description() -> None:
    """What the files say, in the fields that clients read."""
    details = ModelDetails(
        attrs.evolve(CARD, facts=FACTS),
        capabilities=frozenset({Capability.TOOLS, Capability.COMPLETION}),
        chat_template="{{ messages }}",
        license_text="Apache License",
        metadata={"general.architecture": "llama", "tokenizer.ggml.tokens": None},
    )
    call = decode_show(query({"model": "ai/x"}))

    shown = json.loads(played(call, [ModelShown(details)]))

    assert ShowModel("ai/x") == call.command
    assert {
        "modelfile": "# Made by stoker of what it knows\nFROM ai/x:latest\n",
        "parameters": "",
        "template": "{{ messages }}",
        "license": "Apache License",
        "details": DETAILS,
        "model_info": {"general.architecture": "llama", "tokenizer.ggml.tokens": None},
        "capabilities": ["completion", "tools"],
        "modified_at": "1970-01-01T00:20:34.500000Z",
    } == shown


def test_a_model_that_is_not_here() -> None:
    """The error has Ollama's form."""
    error = ModelNotFoundError("It is not here.", model="x")

    assert b'{"error":"It is not here."}' == played(
        decode_show(query({"name": "x"})), [Failed(error)]
    )


def test_versions_and_signs_of_life() -> None:
    """The version is the API's, and stoker's stands beside it; `/` says what clients look for."""
    version = json.loads(played(decode_version(NOTHING), [Version("1.2")]))

    assert {"version": API_VERSION, "stoker": "1.2"} == version
    assert b"Ollama is running" == played(decode_root(NOTHING), [Version("1.2")])


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("ai/x", "ai/x:latest"),
        ("ai/x:1", "ai/x:1"),
        ("localhost:5000/x", "localhost:5000/x:latest"),
        (f"ai/x@{DIGEST}", f"ai/x@{DIGEST}"),
        ("wheel:llm==1", "wheel:llm==1"),
        ("./x.gguf", "./x.gguf"),
    ],
)
def test_names_have_tags(name: str, expected: str) -> None:
    """As clients compare them; what is no plain name stays as it is."""
    assert expected == tagged(name)
