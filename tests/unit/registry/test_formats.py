"""Tests of `stoker_registry.formats`: every row of the table."""

from __future__ import annotations

import pytest

from stoker.digest import Digest
from stoker.formats import FormatTable
from stoker.manifest import Descriptor
from stoker.media_types import DDUF, GGUF, SAFETENSORS, MediaType, Role
from stoker_registry.formats import FORMAT_RULES

TABLE = FormatTable.of(FORMAT_RULES)
OWN = "own"
"""In the rows below: the layer keeps its own media type."""

DOCKER = "application/vnd.docker.ai."
OLLAMA = "application/vnd.ollama.image."
CNCF = "application/vnd.cncf.model."
CNAI = "application/vnd.cnai.model."

Row = tuple[str, str | None, str | None, str, Role]

LICENSES = ["LICENSE", "licence.txt", "COPYING", "NOTICE.md"]
FILES = [
    ("config.json", Role.CONFIG),
    ("vision/config.json", Role.CONFIG),
    ("generation_config.json", Role.CONFIG),
    ("chat_template.json", Role.CONFIG),
    ("tokenizer.json", Role.TOKENIZER),
    ("tokenizer.model", Role.TOKENIZER),
    ("tokenizer_config.json", Role.TOKENIZER),
    ("vocab.json", Role.TOKENIZER),
    ("vocab.txt", Role.TOKENIZER),
    ("merges.txt", Role.TOKENIZER),
    ("added_tokens.json", Role.TOKENIZER),
    ("special_tokens_map.json", Role.TOKENIZER),
    ("sentencepiece.bpe.model", Role.TOKENIZER),
    ("spm.vocab", Role.TOKENIZER),
    ("cl100k.tiktoken", Role.TOKENIZER),
    ("chat_template.jinja", Role.CHAT_TEMPLATE),
    ("Template.JINJA", Role.CHAT_TEMPLATE),
    ("tools.jinja2", Role.CHAT_TEMPLATE),
    ("README.md", Role.DOC),
    ("README.rst", Role.DOC),
    ("notes.txt", Role.DOC),
    ("modeling_x.py", Role.OTHER),
    ("adapters.safetensors", Role.ADAPTER),
    ("lora/adapter_model.safetensors", Role.ADAPTER),
    *((path, Role.LICENSE) for path in LICENSES),
]
"""Files as repositories of models have them, for media types that only say "a file"."""

DOCKER_ROWS: list[Row] = [
    ("gguf.v3", None, None, GGUF, Role.WEIGHTS),
    ("gguf.v3", None, "model.gguf", GGUF, Role.WEIGHTS),
    ("safetensors", None, "model.safetensors", SAFETENSORS, Role.WEIGHTS),
    ("dduf", None, "flux.dduf", DDUF, Role.WEIGHTS),
    ("mmproj", None, None, GGUF, Role.PROJECTOR),
    ("gguf.v3.mmproj", None, None, GGUF, Role.PROJECTOR),
    ("gguf.v3.lora", None, None, GGUF, Role.ADAPTER),
    ("chat.template.jinja", None, None, OWN, Role.CHAT_TEMPLATE),
    ("license", None, None, OWN, Role.LICENSE),
    ("vllm.config.tar", None, None, OWN, Role.CONFIG),
    ("dir.tar", None, None, OWN, Role.CONFIG),
    *(("model.file", None, path, OWN, role) for path, role in FILES),
    ("model.file", None, "x.bin", OWN, Role.OTHER),
    ("model.file", None, None, OWN, Role.OTHER),
]
MODELPACK_ROWS: list[Row] = [
    ("weight.v1.raw", "gguf", None, GGUF, Role.WEIGHTS),
    ("weight.v1.raw", "GGUF", "a.gguf", GGUF, Role.WEIGHTS),
    ("weight.v1.raw", None, "sub/a.gguf", GGUF, Role.WEIGHTS),
    ("weight.v1.raw", "safetensors", "a.safetensors", SAFETENSORS, Role.WEIGHTS),
    ("weight.v1.raw", None, "a.safetensors", SAFETENSORS, Role.WEIGHTS),
    ("weight.v1.raw", "dduf", None, DDUF, Role.WEIGHTS),
    ("weight.v1.raw", None, "a.dduf", DDUF, Role.WEIGHTS),
    ("weight.v1.raw", None, "a.onnx", OWN, Role.WEIGHTS),
    ("weight.v1.raw", None, None, OWN, Role.WEIGHTS),
    ("weight.v1.raw", "gguf", "mmproj-model-f16.gguf", GGUF, Role.PROJECTOR),
    ("weight.v1.raw", None, "x/gemma.mmproj.gguf", GGUF, Role.PROJECTOR),
    ("weight.v1.gguf", None, None, GGUF, Role.WEIGHTS),
    *(
        (f"weight.v1.{kind}", config_format, name, SAFETENSORS, Role.ADAPTER)
        for kind in ("raw", "safetensors")
        for config_format in ("safetensors", None)
        for name in ("adapters.safetensors", "x/adapter_model.safetensors")
    ),
    ("weight.v1.gguf", "gguf", "mmproj.gguf", GGUF, Role.PROJECTOR),
    ("weight.v1.gguf", None, "mmproj.gguf", GGUF, Role.PROJECTOR),
    ("weight.v1.safetensors", None, None, SAFETENSORS, Role.WEIGHTS),
    *(
        (f"weight.v1.{packing}", config_format, path, canonical, Role.WEIGHTS)
        for packing in ("tar", "tar+gzip", "tar+zstd")
        for config_format, path, canonical in (
            (None, None, OWN),
            ("gguf", "x", GGUF),
            ("safetensors", "x", SAFETENSORS),
            ("dduf", "x", DDUF),
            (None, "a.gguf", GGUF),
            (None, "a.safetensors", SAFETENSORS),
            (None, "a.dduf", DDUF),
        )
    ),
    *(("weight.config.v1.raw", "gguf", path, OWN, role) for path, role in FILES),
    ("weight.config.v1.raw", None, None, OWN, Role.CONFIG),
    *(
        (f"weight.config.v1.{packing}", None, "a", OWN, Role.CONFIG)
        for packing in ("tar", "tar+gzip", "tar+zstd")
    ),
    *(
        (f"doc.v1.{packing}", None, "README.md", OWN, Role.DOC)
        for packing in ("raw", "tar", "tar+gzip", "tar+zstd")
    ),
    *(("doc.v1.raw", None, path, OWN, Role.LICENSE) for path in LICENSES),
    *(
        (f"{kind}.v1.{packing}", None, "run.py", OWN, Role.OTHER)
        for kind in ("code", "dataset")
        for packing in ("raw", "tar", "tar+gzip", "tar+zstd")
    ),
]
OLLAMA_ROWS: list[Row] = [
    ("model", "gguf", None, GGUF, Role.WEIGHTS),
    ("projector", "gguf", None, GGUF, Role.PROJECTOR),
    ("adapter", None, None, GGUF, Role.ADAPTER),
    ("draft", None, None, GGUF, Role.DRAFT),
    ("tensor", "safetensors", None, OWN, Role.WEIGHTS),
    ("template", None, None, OWN, Role.OTHER),
    ("system", None, None, OWN, Role.PARAMETERS),
    ("params", None, None, OWN, Role.PARAMETERS),
    ("messages", None, None, OWN, Role.PARAMETERS),
    ("prompt", None, None, OWN, Role.OTHER),
    ("embed", None, None, OWN, Role.OTHER),
    ("json", None, None, OWN, Role.CONFIG),
    ("license", None, None, OWN, Role.LICENSE),
]
ROWS = [
    (prefix + kind, config_format, path, canonical, role)
    for prefix, rows in (
        (DOCKER, DOCKER_ROWS),
        (CNCF, MODELPACK_ROWS),
        (CNAI, MODELPACK_ROWS),
        (OLLAMA, OLLAMA_ROWS),
    )
    for kind, config_format, path, canonical, role in rows
]


def layer(media_type: str, path: str | None, key: str = "org.cncf.model.filepath") -> Descriptor:
    """A layer of a type, at a path."""
    annotations = {} if path is None else {key: path}
    return Descriptor(MediaType(media_type), Digest.of(b""), 0, annotations)


@pytest.mark.parametrize(("media_type", "config_format", "path", "canonical", "role"), ROWS)
def test_rows(
    media_type: str, config_format: str | None, path: str | None, canonical: str, role: Role
) -> None:
    """Every media type of the table gets its canonical type and its role."""
    found = TABLE.layer(layer(media_type, path), config_format=config_format)

    assert role == found.role
    assert (media_type if canonical is OWN else canonical) == found.media_type


def test_every_rule_is_tested() -> None:
    """No rule stands in the table that no row above reaches."""
    reached = {
        next(rule for rule in TABLE.rules if rule.fits(layer(media_type, path), config_format))
        for media_type, config_format, path, _, _ in ROWS
    }

    assert set() == set(FORMAT_RULES) - reached


def test_old_path_annotations_count() -> None:
    """The annotation of ModelPack's former name tells the format as well."""
    found = TABLE.layer(layer(f"{CNAI}weight.v1.raw", "m.gguf", "org.cnai.model.filepath"))

    assert GGUF == found.media_type


def test_foreign_layers_are_kept() -> None:
    """A layer that no rule knows has no canonical type and no use."""
    found = TABLE.layer(layer("application/vnd.example", "x"))

    assert (None, Role.OTHER) == (found.media_type, found.role)


@pytest.mark.parametrize(
    ("media_type", "reason"),
    [
        (f"{OLLAMA}tensor", "one blob per tensor"),
        (f"{DOCKER}dduf", "makes images"),
        (f"{CNCF}weight.v1.raw", "package it again"),
    ],
)
def test_weights_that_nothing_here_runs_say_why(media_type: str, reason: str) -> None:
    """Such a model can be pulled; whoever wants to run it hears why that cannot be."""
    found = TABLE.layer(layer(media_type, None))

    assert Role.WEIGHTS == found.role
    assert reason in (found.remark or "")
