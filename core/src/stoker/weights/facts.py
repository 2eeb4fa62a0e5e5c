"""Model facts from the files themselves: for artifacts whose config says little or nothing."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import attrs
import msgspec

from stoker.artifact import ModelFacts
from stoker.errors import InvalidArtifactError
from stoker.media_types import GGUF, SAFETENSORS, MediaType, Role
from stoker.weights.gguf import GgufHeader, read_gguf_header
from stoker.weights.safetensors import SafetensorsHeader, read_safetensors_header
from stoker.wire.malformed import MALFORMED

_MAX_JSON_BYTES = 4 * 1024 * 1024
_PACKED_TYPES = {"U32": 32, "I32": 32, "U8": 8}
"""Types in which quantized weights are packed, with their bits."""

# The words of different families for the same thing, in `config.json`.
_CONTEXT_KEYS = (
    "max_position_embeddings",
    "n_positions",
    "n_ctx",
    "max_sequence_length",
    "max_seq_len",
    "seq_length",
)


@attrs.frozen
class ModelFile:
    """One file of a model, wherever it lies and whatever it is called there."""

    name: str
    """Its path within the model."""
    path: Path
    role: Role
    media_type: MediaType | None
    """Canonical type; None when no rule could tell."""


def read_facts(files: Iterable[ModelFile]) -> ModelFacts:
    """Read what a model's files say of it. Reads headers and small texts, never weights.

    Args:
        files: All files of a model, the shards of its weights in order.

    Raises:
        InvalidInputError: A file is missing or cannot be read.
        InvalidArtifactError: A file is not what it should be.
    """
    files = tuple(files)
    weights = [file for file in files if file.role is Role.WEIGHTS]
    types = {file.media_type for file in weights}
    facts = ModelFacts()
    if types == {GGUF}:
        facts = gguf_facts([read_gguf_header(file.path) for file in weights])
    elif types == {SAFETENSORS}:
        headers = [read_safetensors_header(file.path) for file in weights]
        by_name = {file.name: file.path for file in files}
        facts = safetensors_facts(headers, _read_json(by_name.get("config.json")))
        tokenizer = _read_json(by_name.get("tokenizer_config.json"))
        if tokenizer.get("chat_template"):
            facts = attrs.evolve(facts, has_chat_template=True)
    if any(file.role is Role.CHAT_TEMPLATE for file in files):
        facts = attrs.evolve(facts, has_chat_template=True)
    return facts


def gguf_facts(headers: Sequence[GgufHeader]) -> ModelFacts:
    """What the shards of a GGUF model say."""
    first = headers[0]
    count = sum(header.parameter_count for header in headers)
    return ModelFacts(
        format="gguf",
        architecture=first.architecture,
        # The publisher's label ("135M"), else the count.
        parameters=first.text("general.size_label") or (count_text(count) if count else None),
        quantization=first.quantization,
        context_length=first.context_length,
        has_chat_template=first.text("tokenizer.chat_template") is not None,
        license=first.text("general.license"),
    )


def safetensors_facts(
    headers: Sequence[SafetensorsHeader], config: Mapping[str, Any]
) -> ModelFacts:
    """What the shards of a safetensors model say, and the `config.json` beside them."""
    elements: dict[str, int] = {}
    for header in headers:
        for kind, count in header.elements.items():
            elements[kind] = elements.get(kind, 0) + count
    bits, quantization = _quantization(config)
    total = sum(
        count * _PACKED_TYPES[kind] // bits if bits and kind in _PACKED_TYPES else count
        for kind, count in elements.items()
    )
    if quantization is None and elements:
        quantization = next(iter(elements)) if len(elements) == 1 else "mixed"
    text_config = config.get("text_config")
    nested = text_config if isinstance(text_config, dict) else {}
    return ModelFacts(
        format="safetensors",
        architecture=_text(config.get("model_type")),
        parameters=count_text(total) if total else None,
        quantization=quantization,
        context_length=_context_length(config) or _context_length(nested),
        has_chat_template=False,
    )


def count_text(count: int) -> str:
    """A number of parameters, for people: `134.52M`."""
    for unit, letter in ((10**12, "T"), (10**9, "B"), (10**6, "M"), (10**3, "K")):
        if count >= unit:
            return f"{count / unit:.2f}{letter}"
    return str(count)


def _quantization(config: Mapping[str, Any]) -> tuple[int | None, str | None]:
    """Bits per weight and a name, of whatever quantized the model."""
    for key in ("quantization_config", "quantization"):
        table = config.get(key)
        if not isinstance(table, dict):
            continue
        bits = table.get("bits")
        bits = bits if isinstance(bits, int) and 0 < bits <= 32 else None  # noqa: PLR2004
        words = [_text(table.get("quant_method")), f"{bits}-bit" if bits else None]
        return bits, " ".join(word for word in words if word) or None
    return None, None


def _context_length(config: Mapping[str, Any]) -> int | None:
    for key in _CONTEXT_KEYS:
        value = config.get(key)
        if isinstance(value, int) and not isinstance(value, bool) and value > 0:
            return value
    return None


def _text(value: object) -> str | None:
    return value if isinstance(value, str) and value else None


def _read_json(path: Path | None) -> dict[str, Any]:
    if path is None:
        return {}
    with path.open("rb") as file:
        data = file.read(_MAX_JSON_BYTES + 1)
    try:
        if len(data) > _MAX_JSON_BYTES:
            raise msgspec.DecodeError("it is too large")
        return msgspec.json.decode(data, type=dict[str, Any])
    except MALFORMED as exc:
        raise InvalidArtifactError(f"{path.name} is no JSON of a model: {exc}.") from exc
