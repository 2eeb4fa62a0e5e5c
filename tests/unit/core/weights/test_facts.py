from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any

import pytest
from gguf_file import gguf_bytes

from stoker.artifact import ModelFacts
from stoker.errors import InvalidArtifactError, InvalidInputError
from stoker.media_types import GGUF, SAFETENSORS, MediaType, Role
from stoker.weights import ModelFile, read_facts, read_safetensors_header


def safetensors_bytes(tensors: dict[str, tuple[str, list[int]]], **metadata: str) -> bytes:
    """A safetensors file of zeros."""
    entries: dict[str, Any] = {"__metadata__": metadata} if metadata else {}
    end = 0
    for name, (dtype, shape) in tensors.items():
        entries[name] = {"dtype": dtype, "shape": shape, "data_offsets": [end, end + 4]}
        end += 4
    header = json.dumps(entries).encode()
    return struct.pack("<Q", len(header)) + header + bytes(end)


def file(folder: Path, name: str, data: bytes, role: Role, kind: MediaType | None) -> ModelFile:
    """A file of a model."""
    (folder / name).write_bytes(data)
    return ModelFile(name, folder / name, role, kind)


def test_facts_of_gguf_shards(tmp_path: Path) -> None:
    """The first shard has the words, all of them count."""
    words = {
        "general.architecture": "llama",
        "general.file_type": 7,
        "general.license": "apache-2.0",
        "llama.context_length": 64,
        "tokenizer.chat_template": "{{ messages }}",
    }
    shards = [
        file(tmp_path, "1.gguf", gguf_bytes(words, [("a", (1000, 2))]), Role.WEIGHTS, GGUF),
        file(tmp_path, "2.gguf", gguf_bytes({}, [("b", (1000, 1))]), Role.WEIGHTS, GGUF),
    ]

    assert ModelFacts(
        "gguf", "llama", "3.00K", "Q8_0", 64, has_chat_template=True, license="apache-2.0"
    ) == read_facts(shards)


def test_facts_of_a_safetensors_folder(tmp_path: Path) -> None:
    """Types and counts are the weights', the rest stands in the texts beside them."""
    weights = safetensors_bytes({"a": ("BF16", [1000, 2]), "b": ("BF16", [])}, format="pt")
    config = {"model_type": "llama", "text_config": {"max_position_embeddings": 128}}
    files = [
        file(tmp_path, "model.safetensors", weights, Role.WEIGHTS, SAFETENSORS),
        file(tmp_path, "config.json", json.dumps(config).encode(), Role.CONFIG, None),
        file(tmp_path, "tokenizer_config.json", b'{"chat_template":"x"}', Role.TOKENIZER, None),
    ]

    assert ModelFacts(
        "safetensors", "llama", "2.00K", "BF16", 128, has_chat_template=True
    ) == read_facts(files)


@pytest.mark.parametrize(
    ("config", "facts"),
    [
        ({"quantization": {"bits": 4, "group_size": 64}}, ("8.00K", "4-bit")),
        ({"quantization_config": {"quant_method": "awq", "bits": 4}}, ("8.00K", "awq 4-bit")),
        ({"quantization_config": {"quant_method": "fp8"}}, ("1.00K", "fp8")),
        ({"quantization": True}, ("1.00K", "U32")),
    ],
)
def test_packed_weights_are_counted(
    tmp_path: Path, config: dict[str, Any], facts: tuple[str, str]
) -> None:
    """Several quantized weights stand in one number of 32 bits."""
    weights = safetensors_bytes({"a": ("U32", [1000])})
    found = read_facts(
        [
            file(tmp_path, "m.safetensors", weights, Role.WEIGHTS, SAFETENSORS),
            file(tmp_path, "config.json", json.dumps(config).encode(), Role.CONFIG, None),
        ]
    )

    assert facts == (found.parameters, found.quantization)


def test_other_weights_say_nothing(tmp_path: Path) -> None:
    """Weights of a kind that has no header known here are left alone."""
    kind = MediaType("application/vnd.example.words")

    assert ModelFacts() == read_facts([file(tmp_path, "w", b"words", Role.WEIGHTS, kind)])


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"1234567",
        struct.pack("<Q", 2**62) + b"{}",
        struct.pack("<Q", 2) + b"[]",
        struct.pack("<Q", 2) + b"\xff\xff",
        struct.pack("<Q", 9) + b'{"a":{}} ',
        safetensors_bytes({"a": ("F32", [1])})[:-1],
        safetensors_bytes({"a": ("F32", [-1])}),
    ],
)
def test_hostile_headers_are_refused(tmp_path: Path, data: bytes) -> None:
    """What is no safetensors file, or ends too early, is refused with its name."""
    (tmp_path / "x.safetensors").write_bytes(data)

    with pytest.raises(InvalidArtifactError, match=r"x\.safetensors"):
        read_safetensors_header(tmp_path / "x.safetensors")
    with pytest.raises(InvalidInputError, match="absent"):
        read_safetensors_header(tmp_path / "absent")


def test_gaps_are_filled() -> None:
    """The first one's word counts; only what it does not say comes from the second."""
    publisher = ModelFacts(format="gguf", parameters="361.82 M")
    header = ModelFacts(format="x", parameters="1", context_length=8, has_chat_template=False)

    assert ModelFacts(
        "gguf", None, "361.82 M", None, 8, has_chat_template=False
    ) == publisher.or_else(header)
