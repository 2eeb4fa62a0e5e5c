"""What a model is said to take, before it is loaded."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import mlx.core as mx
import pytest
import tiny_mlx
from player import Player

from stoker.errors import InvalidArtifactError, InvalidInputError
from stoker.estimate import HOST
from stoker_mlx import plugin
from stoker_mlx.footprint import LEAST_PREFIX_BYTES, POOL_BYTES
from stoker_mlx.model_shape import FULL, STATE, WINDOW, ModelShape
from stoker_mlx.options import MlxOptions

GEMMA = {
    "model_type": "gemma3_text",
    "hidden_size": 640,
    "num_hidden_layers": 18,
    "num_attention_heads": 4,
    "num_key_value_heads": 1,
    "head_dim": 256,
    "vocab_size": 262144,
    "sliding_window": 512,
    "sliding_window_pattern": 6,
    "max_position_embeddings": 32768,
}


def test_the_weights_are_their_files(tiny: Path) -> None:
    """Weights count as their files are large, and all is on the host."""
    estimate = plugin.estimate(tiny_mlx.bundle_of(tiny), MlxOptions())
    (need,) = estimate.needs(512)

    assert HOST == need.device
    assert (tiny / "model.safetensors").stat().st_size == need.weights_bytes
    assert tiny_mlx.CONTEXT_LENGTH == estimate.max_context_length
    assert 0 == need.mapped_bytes
    assert LEAST_PREFIX_BYTES == need.reserve_bytes
    assert 0 < need.buffer_bytes < POOL_BYTES
    assert need.process_bytes > 0


def test_a_longer_context_takes_more(tiny: Path) -> None:
    """The KV cache grows with the context, and with quantised numbers it grows less."""
    bundle = tiny_mlx.bundle_of(tiny)

    def cache(length: int, **options: Any) -> int:
        (need,) = plugin.estimate(bundle, MlxOptions(**options)).needs(length)
        return need.cache_bytes

    # 2 layers, keys and values of 2 heads with 8 numbers of 32 bits.
    assert 2 * 2 * 2 * 8 * 4 * 1000 == cache(2000) - cache(1000)
    assert cache(2000, kv_bits=4, kv_group_size=32) < cache(2000) / 4
    assert cache(1000, cache_tokens=4000) == cache(4000)


def test_what_is_estimated_is_what_is_taken(tmp_path: Path) -> None:
    """A full cache takes no more than was said, and not much less."""
    folder = tiny_mlx.llama(tmp_path / "m", hidden_size=128, num_hidden_layers=4)
    bundle = tiny_mlx.bundle_of(folder)
    options = MlxOptions(context_length=1500, prefix_cache_bytes=0, max_sequences=1)
    (need,) = plugin.estimate(bundle, options).needs(1500)
    player = Player(plugin.load(bundle, options, lambda stage, fraction: None))
    before = mx.get_active_memory()
    player.submit(1, (5,) * 1400, max_tokens=50)
    player.run(until=lambda: len(player.tokens(1)) == 40)
    taken = mx.get_active_memory() - before
    player.engine.close()

    assert 0.6 * need.cache_bytes < taken <= need.cache_bytes + need.buffer_bytes


def test_options_set_the_context(tiny: Path) -> None:
    """A context that is set is told, and the core's choice is put into the options."""
    bundle = tiny_mlx.bundle_of(tiny)
    estimate = plugin.estimate(bundle, MlxOptions(context_length=99))

    assert 99 == estimate.context_length
    assert MlxOptions(context_length=7) == estimate.configure(MlxOptions(), 7)


def test_shapes_of_families() -> None:
    """Windows, states and compressed caches are known by what configs call them."""
    gemma = ModelShape.of(GEMMA, name="gemma")
    assert [15, 3] == [gemma.layers.count(kind) for kind in (WINDOW, FULL)]
    assert (3 * 8192 * 512, 15 * 512 * 512) == gemma.cached_numbers(8192)

    nested = ModelShape.of({"model_type": "x", "text_config": GEMMA}, name="nested")
    assert gemma == nested

    hybrid = {**GEMMA, "layer_types": ["linear_attention", "full_attention"] * 9}
    assert 9 == ModelShape.of(hybrid, name="hybrid").layers.count(STATE)

    latent = {**GEMMA, "kv_lora_rank": 512, "qk_rope_head_dim": 64}
    assert 576 == ModelShape.of(latent, name="latent").token_numbers


@pytest.mark.parametrize(
    ("name", "data", "error"),
    [
        ("config.json", b"{}", InvalidArtifactError),
        ("config.json", b"\xff", InvalidArtifactError),
        ("config.json", json.dumps({"hidden_size": True}).encode(), InvalidArtifactError),
        ("model.safetensors", b"", InvalidArtifactError),
    ],
)
def test_bad_files_are_told(
    tiny: Path, tmp_path: Path, name: str, data: bytes, error: type[Exception]
) -> None:
    """A file that is not what it should be is an error of the artifact, before loading."""
    for path in tiny.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    (tmp_path / name).write_bytes(data)

    with pytest.raises(error):
        plugin.estimate(tiny_mlx.bundle_of(tmp_path), MlxOptions())


def test_missing_files_are_told(tiny: Path, tmp_path: Path) -> None:
    """A file that has gone is named."""
    for path in tiny.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    bundle = tiny_mlx.bundle_of(tmp_path)
    (tmp_path / "model.safetensors").unlink()

    with pytest.raises(InvalidInputError, match="cannot be read"):
        plugin.estimate(bundle, MlxOptions())
