"""The table of artifact media types: what the layers of real artifacts are.

Sources: https://github.com/docker/model-spec/blob/main/spec.md and `types/config.go` of
https://github.com/docker/model-runner for Docker's; https://github.com/modelpack/model-spec for
ModelPack's (whose older name was `cnai`); `manifest/` of https://github.com/ollama/ollama for
Ollama's.

A rule without a canonical type keeps the layer's own. That is on purpose for weights that no
backend can open as they are (one tensor per blob): the selection then names that media type as what
nobody runs. Weights in a tar have the type of what is in it, for they are unpacked for the engine.
"""

from __future__ import annotations

from collections.abc import Iterator

from stoker.formats import FormatRule
from stoker.media_types import DDUF, GGUF, SAFETENSORS, MediaType, Role

_DOCKER = "application/vnd.docker.ai."
DOCKER_FILE = MediaType(f"{_DOCKER}model.file")
"""Any file of a model, which its path tells from others."""

_OLLAMA = "application/vnd.ollama.image."
_REMARKS = {
    "tensor": (
        "The model was published with one blob per tensor, which only its publisher's own program"
        " puts together: look for a GGUF or safetensors edition of it."
    )
}
_MODELPACK = ("application/vnd.cncf.model.", "application/vnd.cnai.model.")
_PACKED = ("tar", "tar+gzip", "tar+zstd")

ADAPTER_NAMES = ("adapters.safetensors", "adapter_model.safetensors")
"""Files of LoRA adapters, as mlx-lm and PEFT call them; nothing else tells them from weights."""

_FILE_ROLES = (
    *((name, Role.ADAPTER) for name in ADAPTER_NAMES),
    ("*.json", Role.CONFIG),
    ("*.md", Role.DOC),
    ("*.rst", Role.DOC),
    ("*.txt", Role.DOC),
    ("*.py", Role.OTHER),
    ("*.jinja", Role.CHAT_TEMPLATE),
    ("*.jinja2", Role.CHAT_TEMPLATE),
    # Transformers' chat_template.json wraps the template in JSON, so it is no Jinja source.
    ("*chat_template*.json", Role.CONFIG),
    ("tokenizer*", Role.TOKENIZER),
    ("tokenizer*.json", Role.TOKENIZER),
    ("*.vocab", Role.TOKENIZER),
    ("*.tiktoken", Role.TOKENIZER),
    ("vocab.json", Role.TOKENIZER),
    ("vocab.txt", Role.TOKENIZER),
    ("merges.txt", Role.TOKENIZER),
    ("added_tokens.json", Role.TOKENIZER),
    ("special_tokens_map.json", Role.TOKENIZER),
    ("sentencepiece*.model", Role.TOKENIZER),
    ("license*", Role.LICENSE),
    ("licence*", Role.LICENSE),
    ("copying*", Role.LICENSE),
    ("notice*", Role.LICENSE),
)
"""Roles of files by their name, for media types that only say "a file"."""

_WEIGHT_FORMATS = (("gguf", GGUF), ("safetensors", SAFETENSORS), ("dduf", DDUF))


def _files(media_type: str, default: Role) -> Iterator[FormatRule]:
    yield FormatRule(default, media_type=media_type)
    for pattern, role in _FILE_ROLES:
        yield FormatRule(role, media_type=media_type, path=pattern)


def _docker() -> Iterator[FormatRule]:
    # The canonical types gguf.v3, safetensors and dduf are Docker's own: the core has them.
    yield FormatRule(Role.PROJECTOR, GGUF, media_type=f"{_DOCKER}mmproj")
    yield FormatRule(Role.PROJECTOR, GGUF, media_type=f"{_DOCKER}gguf.v3.mmproj")
    yield FormatRule(Role.ADAPTER, GGUF, media_type=f"{_DOCKER}gguf.v3.lora")
    yield FormatRule(Role.CHAT_TEMPLATE, media_type=f"{_DOCKER}chat.template.jinja")
    yield FormatRule(Role.LICENSE, media_type=f"{_DOCKER}license")
    yield FormatRule(Role.CONFIG, media_type=f"{_DOCKER}vllm.config.tar")
    yield FormatRule(Role.CONFIG, media_type=f"{_DOCKER}dir.tar")
    yield from _files(DOCKER_FILE, Role.OTHER)


def _weights(media_type: str) -> Iterator[FormatRule]:
    """What the config or the path says, for a type that only says "weights"."""
    yield FormatRule(
        Role.WEIGHTS,
        media_type=media_type,
        remark=(
            "Neither the artifact's config nor the weights' path says a format that stoker knows;"
            " its publisher has to package it again."
        ),
    )
    for name, canonical in _WEIGHT_FORMATS:
        yield FormatRule(Role.WEIGHTS, canonical, media_type=media_type, config_format=name)
        yield FormatRule(Role.WEIGHTS, canonical, media_type=media_type, path=f"*.{name}")


def _adapters(media_type: str) -> Iterator[FormatRule]:
    """Adapters among weights, whether or not the config says a format."""
    for name in ADAPTER_NAMES:
        for config_format in (None, "safetensors"):
            yield FormatRule(
                Role.ADAPTER,
                SAFETENSORS,
                media_type=media_type,
                config_format=config_format,
                path=name,
            )


def _modelpack(prefix: str) -> Iterator[FormatRule]:
    raw = f"{prefix}weight.v1.raw"
    yield from _weights(raw)
    for name, canonical in _WEIGHT_FORMATS[:2]:
        # Spellings of early tools, read only.
        yield FormatRule(Role.WEIGHTS, canonical, media_type=f"{prefix}weight.v1.{name}")
    # ModelPack has no word for a projector; publishers name the file so.
    for media_type in (raw, f"{prefix}weight.v1.gguf"):
        for config_format in (None, "gguf"):
            yield FormatRule(
                Role.PROJECTOR,
                GGUF,
                media_type=media_type,
                config_format=config_format,
                path="*mmproj*",
            )
    for media_type in (raw, f"{prefix}weight.v1.safetensors"):
        yield from _adapters(media_type)
    for packing in _PACKED:
        yield from _weights(f"{prefix}weight.v1.{packing}")
        yield FormatRule(Role.CONFIG, media_type=f"{prefix}weight.config.v1.{packing}")
        yield FormatRule(Role.DOC, media_type=f"{prefix}doc.v1.{packing}")
    yield from _files(f"{prefix}weight.config.v1.raw", Role.CONFIG)
    yield FormatRule(Role.DOC, media_type=f"{prefix}doc.v1.raw")
    for pattern, role in _FILE_ROLES:
        if role is Role.LICENSE:
            yield FormatRule(role, media_type=f"{prefix}doc.v1.raw", path=pattern)
    for kind in ("code", "dataset"):
        for packing in ("raw", *_PACKED):
            yield FormatRule(Role.OTHER, media_type=f"{prefix}{kind}.v1.{packing}")


def _ollama() -> Iterator[FormatRule]:
    rows: tuple[tuple[str, Role, MediaType | None], ...] = (
        ("model", Role.WEIGHTS, GGUF),
        ("tensor", Role.WEIGHTS, None),  # one safetensors blob per tensor
        ("projector", Role.PROJECTOR, GGUF),
        ("adapter", Role.ADAPTER, GGUF),
        ("draft", Role.DRAFT, GGUF),
        ("template", Role.OTHER, None),  # a Go template, which no Jinja engine may be given
        ("system", Role.PARAMETERS, None),
        ("params", Role.PARAMETERS, None),
        ("messages", Role.PARAMETERS, None),
        ("prompt", Role.OTHER, None),
        ("embed", Role.OTHER, None),
        ("json", Role.CONFIG, None),
        ("license", Role.LICENSE, None),
    )
    for kind, role, canonical in rows:
        yield FormatRule(role, canonical, media_type=f"{_OLLAMA}{kind}", remark=_REMARKS.get(kind))


FORMAT_RULES: tuple[FormatRule, ...] = (
    *_docker(),
    *(rule for prefix in _MODELPACK for rule in _modelpack(prefix)),
    *_ollama(),
)
"""Every rule that this distribution registers."""
