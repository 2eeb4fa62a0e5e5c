"""Model details: what a model's files say of it, for people and clients to look at."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from stoker.artifact import ModelBundle
from stoker.errors import InvalidArtifactError, InvalidInputError
from stoker.host import ModelCard
from stoker.management import Capability, ModelDetails
from stoker.media_types import GGUF, Role
from stoker.weights import GgufHeader, read_gguf_header

_MAX_TEXT_BYTES = 4 * 1024 * 1024
_TEMPLATE_KEY = "tokenizer.chat_template"
_ALWAYS_LONG = (_TEMPLATE_KEY,)
_MAX_SHOWN_CHARS = 4096
# Older files have the second names: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md
_INFILL = (("fim_pre", "fim_suf", "fim_mid"), ("prefix", "suffix", "middle"))
_THINKING = ("enable_thinking", "<think>", "reasoning_content", "thinking")


def read_details(card: ModelCard, bundle: ModelBundle) -> ModelDetails:
    """Read headers and small texts, never weights. What cannot be read is left out.

    Args:
        card: The model, with the name that it was asked for by.
        bundle: Its files.
    """
    header = _header(bundle)
    template = _chat_template(bundle, header)
    return ModelDetails(
        card=card,
        capabilities=_capabilities(header, template),
        chat_template=template,
        license_text="\n\n".join(filter(None, map(_text, bundle.paths(Role.LICENSE)))) or None,
        metadata={} if header is None else _metadata(header),
    )


def _header(bundle: ModelBundle) -> GgufHeader | None:
    weights = [item for item in bundle.files if item.role is Role.WEIGHTS]
    if not weights or weights[0].media_type != GGUF:
        return None
    try:
        return read_gguf_header(weights[0].path)
    except (InvalidArtifactError, InvalidInputError):
        return None


def _chat_template(bundle: ModelBundle, header: GgufHeader | None) -> str | None:
    """The one beside the weights, else the one inside, else the tokenizer's."""
    if bundle.chat_template is not None:
        return _text(bundle.chat_template)
    if header is not None:
        return header.text(_TEMPLATE_KEY)
    for path in bundle.paths(Role.TOKENIZER):
        if path.name == "tokenizer_config.json":
            template = _json(path).get("chat_template")
            return template if isinstance(template, str) else None
    return None


def _capabilities(header: GgufHeader | None, template: str | None) -> frozenset[Capability]:
    if header is not None and header.number(f"{header.architecture}.pooling_type") is not None:
        return frozenset({Capability.EMBEDDING})
    found = {Capability.COMPLETION}
    if header is not None and any(
        all(header.number(f"tokenizer.ggml.{name}_token_id") is not None for name in names)
        for names in _INFILL
    ):
        found.add(Capability.INSERT)
    if template is not None:
        if "tools" in template:
            found.add(Capability.TOOLS)
        if any(word in template for word in _THINKING):
            found.add(Capability.THINKING)
    return frozenset(found)


def _metadata(header: GgufHeader) -> dict[str, str | int | float | bool | None]:
    shown: dict[str, str | int | float | bool | None] = {
        key: None
        if key in _ALWAYS_LONG or (isinstance(value, str) and len(value) > _MAX_SHOWN_CHARS)
        else value
        for key, value in header.metadata.items()
    }
    # JSON has no infinity and no NaN.
    for key, value in shown.items():
        if isinstance(value, float) and value - value != 0:
            shown[key] = None
    if header.parameter_count:
        shown.setdefault("general.parameter_count", header.parameter_count)
    return dict.fromkeys(header.array_lengths) | shown


def _text(path: Path) -> str | None:
    try:
        with path.open("rb") as file:
            return file.read(_MAX_TEXT_BYTES).decode("utf-8", errors="replace")
    except OSError:
        return None


def _json(path: Path) -> Mapping[str, Any]:
    try:
        return msgspec.json.decode(_text(path) or "{}", type=dict[str, Any])
    except (msgspec.MsgspecError, RecursionError):
        return {}
