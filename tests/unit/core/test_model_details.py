"""What a model's files say of it."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest
from gguf_file import gguf_bytes

from stoker.artifact import BundleFile, ModelBundle
from stoker.digest import Digest
from stoker.host import ModelCard
from stoker.management import Capability
from stoker.media_types import GGUF, SAFETENSORS, MediaType, Role
from stoker.model_details import read_details
from stoker.reference import Reference

NAME, DIGEST = Reference.parse("ai/x"), Digest.of(b"x")
CARD = ModelCard("x", DIGEST, 7, 0.0, "oci")
TEMPLATE = "{% if tools %}{{ tools }}{% endif %}{{ messages }}"


def bundle(*files: tuple[Path, Role, MediaType | None]) -> ModelBundle:
    """A model of files."""
    return ModelBundle(NAME, DIGEST, tuple(BundleFile(*file) for file in files))


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    """A GGUF file with a chat template, and values that JSON has no place for."""
    path = tmp_path / "x.gguf"
    path.write_bytes(
        gguf_bytes(
            {
                "general.architecture": "llama",
                "llama.context_length": 8192,
                "llama.rope.freq_base": 10000.0,
                "llama.strange": math.inf,
                "tokenizer.chat_template": TEMPLATE,
                "tokenizer.ggml.tokens": ["a", "b"],
            }
        )
    )
    return path


@pytest.mark.parametrize(
    ("names", "fills"),
    [
        (("fim_pre", "fim_suf", "fim_mid"), True),
        (("prefix", "suffix", "middle"), True),
        (("fim_pre", "fim_suf"), False),
    ],
)
def test_a_model_can_fill_texts_in(tmp_path: Path, names: tuple[str, ...], fills: bool) -> None:
    """All of the tokens for it must be named."""
    path = tmp_path / "x.gguf"
    tokens = {f"tokenizer.ggml.{name}_token_id": 0 for name in names}
    path.write_bytes(gguf_bytes({"general.architecture": "llama", **tokens}))

    found = read_details(CARD, bundle((path, Role.WEIGHTS, GGUF))).capabilities
    assert fills == (Capability.INSERT in found)


def test_a_gguf_model_says_what_it_is(weights: Path) -> None:
    """Its header, without what is too long to show, and what its template knows."""
    details = read_details(CARD, bundle((weights, Role.WEIGHTS, GGUF)))

    assert CARD == details.card
    assert TEMPLATE == details.chat_template
    assert {Capability.COMPLETION, Capability.TOOLS} == details.capabilities
    assert None is details.license_text
    assert {
        "general.architecture": "llama",
        "llama.context_length": 8192,
        "llama.rope.freq_base": 10000.0,
        "llama.strange": None,
        "tokenizer.chat_template": None,
        "tokenizer.ggml.tokens": None,
        "general.parameter_count": 8,
    } == details.metadata


def test_files_beside_the_weights_count(weights: Path, tmp_path: Path) -> None:
    """A template of its own goes before the one inside; licences are joined."""
    template, one, two = (tmp_path / name for name in ("t.jinja", "LICENSE", "NOTICE"))
    template.write_text("{{ messages }}<think>")
    one.write_text("MIT")
    two.write_text("Mine")

    details = read_details(
        CARD,
        bundle(
            (weights, Role.WEIGHTS, GGUF),
            (template, Role.CHAT_TEMPLATE, None),
            (one, Role.LICENSE, None),
            (two, Role.LICENSE, None),
        ),
    )

    assert "{{ messages }}<think>" == details.chat_template
    assert {Capability.COMPLETION, Capability.THINKING} == details.capabilities
    assert "MIT\n\nMine" == details.license_text


def test_an_embedder_completes_nothing(tmp_path: Path) -> None:
    """Models with a pooling are for embeddings."""
    path = tmp_path / "x.gguf"
    path.write_bytes(gguf_bytes({"general.architecture": "bert", "bert.pooling_type": 1}))

    details = read_details(CARD, bundle((path, Role.WEIGHTS, GGUF)))

    assert {Capability.EMBEDDING} == details.capabilities


@pytest.mark.parametrize(
    ("config", "template"),
    [
        (json.dumps({"chat_template": TEMPLATE}), TEMPLATE),
        (json.dumps({"chat_template": [{"name": "default"}]}), None),
        ("{}", None),
        ("no JSON", None),
        ("[]", None),
    ],
)
def test_a_safetensors_model_has_its_template_in_the_tokenizer(
    tmp_path: Path, config: str, template: str | None
) -> None:
    """A file that cannot be read says nothing, and is no error here."""
    weights, tokenizer = tmp_path / "x.safetensors", tmp_path / "tokenizer_config.json"
    weights.write_bytes(b"")
    tokenizer.write_text(config)

    details = read_details(
        CARD,
        bundle((weights, Role.WEIGHTS, SAFETENSORS), (tokenizer, Role.TOKENIZER, None)),
    )

    assert template == details.chat_template
    assert {} == details.metadata


def test_broken_weights_say_nothing(tmp_path: Path) -> None:
    """What is wrong with them, loading tells."""
    path = tmp_path / "x.gguf"
    path.write_bytes(b"no GGUF")

    details = read_details(CARD, bundle((path, Role.WEIGHTS, GGUF)))

    assert {} == details.metadata
    assert None is details.chat_template
