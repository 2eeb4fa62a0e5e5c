"""LoRA adapters: small matrices beside a model's own, from a layer of the artifact.

Two formats are in use: mlx-lm's own (`adapters.safetensors`), and that of Hugging Face's PEFT
(`adapter_model.safetensors`), of which most published adapters are.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import attrs
import mlx.core as mx
from mlx.utils import tree_flatten
from mlx_lm.tuner.utils import linear_to_lora_layers

from stoker.errors import InvalidArtifactError
from stoker.weights import read_safetensors_header
from stoker_mlx.model_files import ModelFiles

CONFIG = "adapter_config.json"

# "base_model.model.model.layers.3.self_attn.q_proj.lora_A.weight"
_PEFT_NAME = re.compile(r"base_model\.model\.(.+)\.lora_([AB])(?:\.default)?\.weight")
_LAYER_NAME = re.compile(r"(?:.*\.)?layers\.(\d+)\.(.+)")
_LEAVES = frozenset({"lora_a", "lora_b", "m"})
_MOST_RANK = 4096


@attrs.frozen
class _Adapter:
    """An adapter in mlx-lm's form."""

    weights: Mapping[str, Any]
    rank: int
    scale: float
    modules: frozenset[str] | None
    """Which modules of a layer have matrices; None leaves that to mlx-lm."""
    layers: int
    """How many of the last layers have them."""
    is_dora: bool = False


def apply_adapter(model: Any, path: Path, files: ModelFiles) -> None:
    """Add an adapter to a model.

    Args:
        model: mlx-lm's model; changed in place.
        path: The adapter's weights.
        files: Of the model and the adapter, with `adapter_config.json` among them.

    Raises:
        InvalidArtifactError: It is no adapter that is known, or not one for this model.
    """
    read_safetensors_header(path)
    settings = files.json(CONFIG)
    weights: Any = mx.load(str(path), format="safetensors")
    count = len(model.layers)
    adapter = (
        _of_peft(weights, settings, count)
        if settings.get("peft_type")
        else _of_mlx(weights, settings)
    )
    table: dict[str, Any] = {"rank": adapter.rank, "scale": adapter.scale, "dropout": 0.0}
    if adapter.modules is not None:
        table["keys"] = set(adapter.modules)
    try:
        linear_to_lora_layers(model, min(adapter.layers, count), table, use_dora=adapter.is_dora)
    except ValueError as exc:
        raise InvalidArtifactError(f"{path.name} does not fit the model: {exc}.") from exc
    places = {
        name: value.shape
        for name, value in tree_flatten(model.parameters())
        if name.rpartition(".")[2] in _LEAVES
    }
    for name, value in adapter.weights.items():
        if places.get(name) != value.shape:
            raise InvalidArtifactError(
                f"{path.name} is an adapter of another model: {name} has the shape"
                f" {tuple(value.shape)}, and the model"
                f" {'no such place' if name not in places else f'has {tuple(places[name])} there'}."
            )
    model.load_weights(list(adapter.weights.items()), strict=False)
    model.eval()
    mx.eval(model.parameters())


def _of_mlx(weights: Mapping[str, Any], settings: Mapping[str, Any]) -> _Adapter:
    kind = settings.get("fine_tune_type", "lora")
    if kind not in {"lora", "dora"}:
        raise InvalidArtifactError(
            f"{CONFIG} says fine_tune_type {kind!r}: only lora and dora are adapters; package what"
            " was tuned in full as a model."
        )
    table = settings.get("lora_parameters")
    table = table if isinstance(table, dict) else {}
    keys = table.get("keys")
    return _Adapter(
        weights,
        rank=_rank(table.get("rank")),
        scale=_scale(table.get("scale")),
        modules=frozenset(map(str, keys)) if isinstance(keys, list) else None,
        layers=settings["num_layers"] if isinstance(settings.get("num_layers"), int) else 0,
        is_dora=kind == "dora",
    )


def _of_peft(weights: Mapping[str, Any], settings: Mapping[str, Any], layers: int) -> _Adapter:
    if settings["peft_type"] != "LORA" or settings.get("use_dora"):
        raise InvalidArtifactError(f"{CONFIG} says that it is no plain LoRA adapter.")
    rank = _rank(settings.get("r"))
    alpha = _scale(settings.get("lora_alpha"))
    turned, modules = {}, set()
    for name, value in weights.items():
        match = _PEFT_NAME.fullmatch(name)
        layer = match and _LAYER_NAME.fullmatch(match[1])
        if match is None or layer is None or value.ndim != 2:  # noqa: PLR2004 - a matrix
            raise InvalidArtifactError(f"The adapter has {name}, for which there is no place.")
        modules.add(layer[2])
        turned[f"{match[1]}.lora_{match[2].lower()}"] = value.T
    scale = alpha / rank**0.5 if settings.get("use_rslora") else alpha / rank
    return _Adapter(turned, rank, scale, frozenset(modules), layers)


def _rank(value: object) -> int:
    if not isinstance(value, int) or not 0 < value <= _MOST_RANK:
        raise InvalidArtifactError(f"{CONFIG} says no rank between 1 and {_MOST_RANK}.")
    return value


def _scale(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise InvalidArtifactError(f"{CONFIG} says no scale: it needs scale, or lora_alpha.")
    return float(value)
