"""Which numbers a model computes with, and what that makes of its weights."""

from __future__ import annotations

from pathlib import Path

import mlx.core as mx
import pytest
import tiny_mlx
from safetensors.numpy import load_file, save_file

from stoker.weights import SafetensorsHeader
from stoker_mlx import plugin
from stoker_mlx.model import read_model
from stoker_mlx.model_files import ModelFiles
from stoker_mlx.number_types import numbers_of
from stoker_mlx.options import MlxOptions, NumberType


@pytest.mark.parametrize(
    ("elements", "wanted", "on_processor", "expected"),
    [
        ({"F16": 10}, None, True, ("float32", 4, 20)),
        ({"F16": 10}, None, False, (None, 2, 0)),
        ({"BF16": 10}, None, True, (None, 2, 0)),
        ({"U32": 99, "BF16": 10}, None, True, ("float32", 4, 20)),
        ({"U32": 99, "BF16": 10}, None, False, (None, 2, 0)),
        ({"U32": 99, "F16": 10, "F32": 1}, None, True, (None, 2, 0)),
        ({"F32": 10}, None, True, (None, 4, 0)),
        ({"F32": 10, "F16": 1}, "bfloat16", False, ("bfloat16", 2, -20)),
        ({"F16": 10}, "float16", True, ("float16", 2, 0)),
        ({}, None, True, (None, 4, 0)),
    ],
)
def test_slow_numbers_are_left(
    elements: dict[str, int],
    wanted: NumberType | None,
    on_processor: bool,
    expected: tuple[NumberType | None, int, int],
) -> None:
    """On processors float32 takes the place of what is slow there, unless something was chosen."""
    header = SafetensorsHeader(elements, {})
    numbers = numbers_of([header], wanted, on_processor=on_processor)

    assert expected == (numbers.chosen, numbers.size_bytes, numbers.growth_bytes)


@pytest.mark.parametrize("wanted", ["float16", "bfloat16", "float32"])
def test_weights_become_what_is_wanted(tiny: Path, tmp_path: Path, wanted: NumberType) -> None:
    """All floats are turned, and the estimate says what they take then."""
    folder = tmp_path / "copy"
    folder.mkdir()
    for path in tiny.iterdir():
        (folder / path.name).write_bytes(path.read_bytes())
    tensors = load_file(folder / "model.safetensors")
    halves = {name: value.astype("float16") for name, value in tensors.items()}
    save_file(halves, folder / "model.safetensors")
    bundle = tiny_mlx.bundle_of(folder)
    count = sum(value.size for value in halves.values())

    model = read_model(ModelFiles.of(bundle), wanted)
    (need,) = plugin.estimate(bundle, MlxOptions(numbers=wanted)).needs(64)

    assert getattr(mx, wanted) == model.model.embed_tokens.weight.dtype
    size_bytes = 4 if wanted == "float32" else 2
    header_bytes = (folder / "model.safetensors").stat().st_size - 2 * count
    assert size_bytes * count + header_bytes == need.weights_bytes
