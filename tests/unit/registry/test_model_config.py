"""Tests of `stoker_registry.model_config`."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stoker.artifact import ModelFacts
from stoker.errors import InvalidArtifactError
from stoker.media_types import OCI_EMPTY, MediaType
from stoker_registry.model_config import (
    DOCKER_CONFIG_V01,
    DOCKER_CONFIG_V02,
    MODELPACK_CONFIG,
    MODELPACK_CONFIG_OLD,
    OLLAMA_CONFIG,
    knows_config,
    read_config,
)

DOCKER = {
    "config": {
        "format": "gguf",
        "quantization": "IQ2_XXS/Q4_K_M",
        "parameters": "361.82 M",
        "architecture": "llama",
        "size": "256.35 MiB",
        "gguf": {"general.name": "x", "n": 1},
        "context_size": 8192,
        "new": {},
    },
    "descriptor": {"created": "2026-01-01T00:00:00Z"},
    "rootfs": {"type": "rootfs", "diff_ids": ["sha256:x"]},
    "files": [],
}
MODELPACK = {
    "descriptor": {"createdAt": "2026-01-01T00:00:00Z", "name": "x", "licenses": ["MIT"]},
    "config": {
        "architecture": "transformer",
        "format": "safetensors",
        "paramSize": "8b",
        "precision": "bf16",
        "quantization": "awq",
        "capabilities": {"inputTypes": ["text"]},
    },
    "modelfs": {"type": "layers", "diffIds": []},
}
OLLAMA = {
    "model_format": "gguf",
    "model_family": "llama",
    "model_families": ["llama"],
    "model_type": "3.2B",
    "file_type": "Q4_K_M",
    "architecture": "amd64",
    "context_length": 131072,
    "rootfs": {"type": "layers", "diff_ids": []},
}


@pytest.mark.parametrize(
    ("media_type", "config", "facts"),
    [
        *(
            (kind, DOCKER, ModelFacts("gguf", "llama", "361.82 M", "IQ2_XXS/Q4_K_M", 8192))
            for kind in (DOCKER_CONFIG_V01, DOCKER_CONFIG_V02)
        ),
        *(
            (kind, MODELPACK, ModelFacts("safetensors", "transformer", "8b", "awq", license="MIT"))
            for kind in (MODELPACK_CONFIG, MODELPACK_CONFIG_OLD)
        ),
        (OLLAMA_CONFIG, OLLAMA, ModelFacts("gguf", "llama", "3.2B", "Q4_K_M", 131072)),
        (OCI_EMPTY, {}, ModelFacts()),
        (MediaType("application/vnd.example.config+json"), {"config": 1}, ModelFacts()),
    ],
)
def test_facts(media_type: MediaType, config: dict[str, Any], facts: ModelFacts) -> None:
    """Every kind of config says the same facts in its own words; unknown kinds say nothing."""

    assert facts == read_config(media_type, json.dumps(config).encode())


@pytest.mark.parametrize(
    "media_type", [DOCKER_CONFIG_V01, DOCKER_CONFIG_V02, MODELPACK_CONFIG, OLLAMA_CONFIG]
)
@pytest.mark.parametrize("config", ["{}", '{"config":null}', '{"config":{},"descriptor":null}'])
def test_everything_is_optional(media_type: MediaType, config: str) -> None:
    """An empty config says nothing, which is no error."""

    assert ModelFacts() == read_config(media_type, config.encode())
    assert knows_config(media_type)


def test_numbers_may_stand_for_texts() -> None:
    """Some publishers write parameters as a number, and empty texts for what they do not know."""
    config = {"config": {"parameters": 7000000, "quantization": "", "context_size": 0}}

    assert ModelFacts(parameters="7000000") == read_config(
        DOCKER_CONFIG_V01, json.dumps(config).encode()
    )


@pytest.mark.parametrize(
    "data", [b"", b"[]", b"{", b'{"config":[]}', b'{"config":{"context_size":"8k"}}', b"\xff"]
)
def test_malformed_configs_are_refused(data: bytes) -> None:
    """A config of the wrong shape makes the artifact invalid."""
    with pytest.raises(InvalidArtifactError, match="config"):
        read_config(DOCKER_CONFIG_V01, data)


KINDS = st.sampled_from([DOCKER_CONFIG_V01, MODELPACK_CONFIG, OLLAMA_CONFIG])
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=2)
        | st.dictionaries(
            st.sampled_from(
                ["config", "descriptor", "format", "paramSize", "context_size", "gguf"]
            ),
            inner,
            max_size=3,
        )
    ),
    max_leaves=6,
)


@given(KINDS, st.binary(max_size=40) | VALUES.map(lambda value: json.dumps(value).encode()))
def test_any_bytes_are_read_or_refused(media_type: MediaType, data: bytes) -> None:
    """No config makes the reader raise anything but its own error."""
    try:
        facts = read_config(media_type, data)
    except InvalidArtifactError:
        return

    assert isinstance(facts.parameters, str | None)
