from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import attrs
import pytest
from gguf_file import gguf_bytes

from stoker.artifact import BundleFile, ModelBundle
from stoker.backend import Device
from stoker.digest import Digest
from stoker.errors import InvalidArtifactError
from stoker.estimate import DeviceNeed
from stoker.media_types import GGUF, Role
from stoker.reference import Reference
from stoker_llama_cpp import estimate, plugin
from stoker_llama_cpp.options import LlamaCppOptions

MIB = 1024 * 1024

Tensors = list[tuple[str, tuple[int, ...]]]
LLAMA = {
    "general.architecture": "llama",
    "llama.context_length": 4096,
    "llama.embedding_length": 64,
    "llama.feed_forward_length": 256,
    "llama.block_count": 2,
    "llama.attention.head_count": 4,
    "llama.attention.head_count_kv": 2,
}


def _bundle(*paths: Path) -> ModelBundle:
    files = tuple(BundleFile(path, Role.WEIGHTS, GGUF) for path in paths)
    return ModelBundle(Reference.parse("test/model"), Digest.of(b""), files)


@pytest.fixture
def needs(tmp_path: Path) -> Callable[..., tuple[DeviceNeed, ...]]:
    """Estimates a made-up model."""

    def ask(
        metadata: dict[str, Any], tensors: Tensors, *, context_length: int = 1024, **options: Any
    ) -> tuple[DeviceNeed, ...]:
        path = tmp_path / "model.gguf"
        path.write_bytes(gguf_bytes(metadata, tensors))
        found = estimate.estimate(_bundle(path), LlamaCppOptions(**options))
        return found.needs(context_length)

    return ask


def _layers(*layers: dict[str, tuple[int, ...]]) -> Tensors:
    return [
        (f"blk.{index}.{name}.weight", shape)
        for index, layer in enumerate(layers)
        for name, shape in layer.items()
    ]


ATTENTION: dict[str, tuple[int, ...]] = {"attn_k": (64, 32), "attn_v": (64, 48)}


@pytest.mark.parametrize(
    ("metadata", "layers", "options", "expected"),
    [
        # 16 bits for each number of key and value, in two layers.
        ({}, (ATTENTION, ATTENTION), {}, 1024 * 2 * (32 + 48) * 2),
        ({}, (ATTENTION,), {"cache_type_k": "q8_0"}, 1024 * (32 * 34 / 32 + 48 * 2)),
        ({}, (ATTENTION,), {"cache_tokens": 3000}, 3072 * (32 + 48) * 2),
        # Without flash attention all values are as wide as the widest.
        (
            {},
            (ATTENTION, {"attn_k": (64, 32), "attn_v": (64, 16)}),
            {"flash_attention": "off"},
            1024 * 2 * (32 + 48) * 2,
        ),
        # Queries, keys and values in one matrix: the widths are in the metadata.
        ({}, ({"attn_qkv": (64, 128)},), {}, 1024 * 2 * 16 * 2 * 2),
        (
            {"llama.attention.head_count_kv": [2, 1], "llama.attention.key_length": 20},
            ({"attn_qkv": (64, 128)}, {"attn_qkv": (64, 128)}),
            {},
            1024 * (2 + 1) * (20 + 16) * 2,
        ),
        # The latent vector of MLA is key and value at once.
        (
            {"llama.attention.key_length_mla": 24},
            ({"attn_kv_a_mqa": (64, 40)},),
            {},
            1024 * 40 * 2,
        ),
        # The last layer uses the cache of another one.
        ({"llama.attention.shared_kv_layers": 1}, (ATTENTION, ATTENTION), {}, 1024 * 80 * 2),
        # Recurrent layers have a state for each sequence that runs, and no cache.
        (
            {
                "llama.ssm.inner_size": 128,
                "llama.ssm.state_size": 16,
                "llama.ssm.conv_kernel": 4,
                "llama.ssm.group_count": 1,
            },
            ({"ssm_conv1d": (4, 128)}, ATTENTION),
            {"max_sequences": 3},
            3 * (3 * (128 + 2 * 16) + 16 * 128) * 4 + 1024 * 80 * 2,
        ),
        ({"llama.shortconv.l_cache": 3}, ({"shortconv.conv": (3, 64)},), {}, 8 * 64 * 2 * 4),
        ({"llama.wkv.head_size": 8}, ({"time_mix_key": (64, 64)},), {}, 8 * 64 * (2 + 8) * 4),
    ],
)
def test_the_cache(
    needs: Callable[..., tuple[DeviceNeed, ...]],
    metadata: dict[str, Any],
    layers: tuple[dict[str, tuple[int, ...]], ...],
    options: dict[str, Any],
    expected: float,
) -> None:
    """What each layer keeps follows from its tensors, the metadata and the options."""
    metadata = LLAMA | {"llama.block_count": len(layers)} | metadata

    (host,) = needs(metadata, _layers(*layers), **options)

    assert expected == host.cache_bytes


def test_mapped_weights_are_told_from_copied_ones(
    needs: Callable[..., tuple[DeviceNeed, ...]],
) -> None:
    """Without `mmap` they are the process's own."""
    tensors = [("token_embd.weight", (64, 10)), *_layers(ATTENTION)]

    (mapped,), (copied,) = needs(LLAMA, tensors), needs(LLAMA, tensors, mmap=False)

    assert mapped.mapped_bytes == copied.weights_bytes > 0
    assert (0, 0) == (mapped.weights_bytes, copied.mapped_bytes)
    assert mapped.total_bytes == copied.total_bytes


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, 2**28),
        ({"cache_tokens": 2**22}, 2**22 * 80 * 2),
        ({"prefix_ram_bytes": 1000}, 1000),
        ({"prefix_cache": False}, 0),
        ({"pooling": "mean"}, 0),
    ],
)
def test_kept_prefixes_have_a_reserve(
    needs: Callable[..., tuple[DeviceNeed, ...]], options: dict[str, Any], expected: int
) -> None:
    """What they may grow to counts, although a model that was just loaded has none."""
    (host,) = needs(LLAMA | {"llama.block_count": 1}, _layers(ATTENTION), **options)

    assert expected == host.reserve_bytes
    assert host.total_bytes > expected


def test_a_draft_model_comes_on_top(
    needs: Callable[..., tuple[DeviceNeed, ...]], tmp_path: Path
) -> None:
    """Its weights and its cache count, its process is the model's own."""
    draft = tmp_path / "draft.gguf"
    draft.write_bytes(gguf_bytes(LLAMA, [("token_embd.weight", (64, 10)), *_layers(ATTENTION)]))
    tensors = _layers(ATTENTION, ATTENTION)

    (alone,) = needs(LLAMA, tensors)
    (both,) = needs(LLAMA, tensors, draft_model=str(draft))
    (unused,) = needs(LLAMA, tensors, draft_model=str(draft), speculation=False)

    layer_bytes = 1024 * 80 * 2
    assert (2 * layer_bytes, 3 * layer_bytes) == (alone.cache_bytes, both.cache_bytes)
    assert both.mapped_bytes > alone.mapped_bytes
    assert (alone.process_bytes, alone.reserve_bytes) == (both.process_bytes, both.reserve_bytes)
    assert alone.cache_bytes == unused.cache_bytes


def test_layers_go_to_gpus_from_the_end(
    needs: Callable[..., tuple[DeviceNeed, ...]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """By shares of the GPUs' memory; the embeddings of tokens stay with the host."""
    gpus = (Device("GPU0", "cuda", memory_bytes=3000), Device("GPU1", "cuda", memory_bytes=1000))
    monkeypatch.setattr(estimate, "_gpus", lambda: gpus)
    tensors = [
        ("token_embd.weight", (64, 10)),
        *_layers(*[ATTENTION] * 3),
        ("output.weight", (64, 10)),
    ]

    host, first, second = needs(LLAMA | {"llama.block_count": 3}, tensors)
    layer_bytes = 1024 * 80 * 2
    assert (0, 3 * layer_bytes, 0) == (
        host.cache_bytes,
        first.cache_bytes,
        second.cache_bytes,
    )
    assert second.weights_bytes > 0
    assert host.mapped_bytes > 0

    host, gpu = needs(LLAMA | {"llama.block_count": 3}, tensors, gpu_layers=2)
    assert ("GPU0", layer_bytes) == (gpu.device, gpu.cache_bytes)
    assert 2 * layer_bytes == host.cache_bytes
    (only,) = needs(LLAMA | {"llama.block_count": 3}, tensors, gpu_layers=0)
    assert 3 * layer_bytes == only.cache_bytes


def test_the_options_say_what_is_fixed(tmp_path: Path) -> None:
    """A prescribed context is kept, a free one is chosen and put into the options."""
    path = tmp_path / "model.gguf"
    path.write_bytes(gguf_bytes(LLAMA))

    free = estimate.estimate(_bundle(path), LlamaCppOptions())
    fixed = estimate.estimate(_bundle(path), LlamaCppOptions(context_length=100))

    assert (4096, None) == (free.max_context_length, free.context_length)
    assert 100 == fixed.context_length
    assert LlamaCppOptions(context_length=50) == free.configure(LlamaCppOptions(), 50)


def test_a_model_for_embeddings(
    needs: Callable[..., tuple[DeviceNeed, ...]], tmp_path: Path
) -> None:
    """An encoder caches nothing, and reads a text of a whole context at once."""
    metadata = LLAMA | {"llama.attention.causal": False, "llama.pooling_type": 1}
    tensors = _layers(ATTENTION)

    (short,), (long,) = needs(metadata, tensors), needs(metadata, tensors, context_length=4096)

    assert (0, 0) == (short.cache_bytes, long.cache_bytes)
    assert long.buffer_bytes > 4 * short.buffer_bytes
    found = estimate.estimate(_bundle(tmp_path / "model.gguf"), LlamaCppOptions())
    assert 2048 == found.preferred_context_length


def test_a_broken_file_is_refused(tmp_path: Path) -> None:
    """Before any process is started for it."""
    path = tmp_path / "model.gguf"
    path.write_bytes(b"GGUF and nothing more")

    with pytest.raises(InvalidArtifactError, match=r"model\.gguf"):
        estimate.estimate(_bundle(path), LlamaCppOptions())
    with pytest.raises(InvalidArtifactError, match="no weights"):
        estimate.estimate(_bundle(), LlamaCppOptions())


WINDOW = 64
"""Tokens that the layers with a sliding window look back to."""


@pytest.mark.parametrize(
    ("architecture", "pattern", "windowed"),
    [
        ("gemma3", None, 5),
        ("gemma2", None, 3),
        ("gemma3", 2, 3),
        ("gemma3", [True, False, False, False, False, False], 1),
        # Of what is not known the estimate is too large.
        ("other", None, 0),
    ],
)
def test_sliding_windows(
    needs: Callable[..., tuple[DeviceNeed, ...]],
    architecture: str,
    pattern: object,
    windowed: int,
) -> None:
    """Without a prefix cache their layers have room for a window of each sequence and a step."""
    metadata = {
        "general.architecture": architecture,
        f"{architecture}.block_count": 6,
        f"{architecture}.attention.sliding_window": WINDOW,
    }
    if pattern is not None:
        metadata[f"{architecture}.attention.sliding_window_pattern"] = pattern
    options = {"context_length": 4096, "max_sequences": 3, "ubatch_size": 256}

    (shared,) = needs(metadata, _layers(*[ATTENTION] * 6), **options)
    (alone,) = needs(metadata, _layers(*[ATTENTION] * 6), prefix_cache=False, **options)

    assert 6 * 4096 * 80 * 2 == shared.cache_bytes
    # 3 x 64 + 256, padded.
    assert ((6 - windowed) * 4096 + windowed * 512) * 80 * 2 == alone.cache_bytes


@pytest.mark.model
@pytest.mark.parametrize("prefix_cache", [True, False])
def test_the_estimate_of_a_sliding_window(
    bundle_of: Any, gemma_file: Path, prefix_cache: bool
) -> None:
    """The estimate follows what is set aside for a real model with one."""
    options = LlamaCppOptions(context_length=8192, prefix_cache=prefix_cache)
    bundle = bundle_of(gemma_file)
    (need,) = estimate.estimate(bundle, options).needs(8192)
    engine = plugin.load(bundle, options, lambda _stage, _fraction: None)
    taken_bytes = engine.info.memory_bytes
    engine.close()

    loaded = attrs.evolve(need, process_bytes=0, reserve_bytes=0)
    assert pytest.approx(taken_bytes, rel=0.05) == loaded.total_bytes


@pytest.mark.model
@pytest.mark.parametrize(
    "options",
    [
        {"context_length": 512},
        {"context_length": 2048},
        {"context_length": 2048, "cache_type_k": "q8_0", "cache_type_v": "q4_0"},
        {"context_length": 2048, "flash_attention": "off"},
        {"context_length": 1024, "ubatch_size": 128, "max_sequences": 32},
        {"context_length": 1024, "mmap": False},
    ],
)
def test_the_estimate_against_what_llama_cpp_takes(
    model_file: Path, load: Any, options: dict[str, Any]
) -> None:
    """Weights, cache and buffers are within 5 % of what is set aside for the real model."""
    settings = LlamaCppOptions(**options)
    (need,) = estimate.estimate(_bundle(model_file), settings).needs(options["context_length"])

    taken_bytes = load(**options).engine.info.memory_bytes

    loaded = attrs.evolve(need, process_bytes=0, reserve_bytes=0)
    assert pytest.approx(taken_bytes, rel=0.05) == loaded.total_bytes
    assert loaded.total_bytes > 92 * MIB
