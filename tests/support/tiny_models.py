"""Tiny models with random weights, of architectures of which no small trained model is at hand.

Their answers mean nothing, but are as fixed by what came before as those of any model. They read
bytes: the vocabulary has a token for each, and three special ones.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import gguf
import numpy as np

CONTEXT_LENGTH = 4096
WIDTH = 32
_STATE, _KERNEL, _RANK = 8, 4, 4
_SPECIAL = ("<unk>", "<s>", "</s>")
_VOCABULARY = len(_SPECIAL) + 256
_EPSILON = 1e-5

Random = Callable[..., "np.ndarray[tuple[int, ...], np.dtype[np.float32]]"]


def plain(path: Path) -> None:
    """Write a model of layers of attention that see all tokens, as Qwen 3 has them."""
    writer, random = _begun(path, "qwen3", layers=2)
    writer.add_key_length(WIDTH // 2)
    writer.add_value_length(WIDTH // 2)
    _add_attention(writer, [2, 2])
    _add(writer, "output_norm.weight", random(WIDTH, mean=1))
    for i in range(2):
        _add(writer, f"blk.{i}.attn_norm.weight", random(WIDTH, mean=1))
        _add_layer_of_attention(writer, random, i)
        _add_feed_forward(writer, random, i)
    _write(writer)


def mamba(path: Path, *, infill: tuple[int, int, int] | None = None) -> None:
    """Write a model of recurrent layers only.

    Args:
        path: Of the file.
        infill: The tokens by which texts are filled in; None names none.
    """
    writer, random = _begun(path, "mamba", layers=2)
    for name, token in zip(("pre", "suf", "mid"), infill or (), strict=False):
        writer.add_uint32(f"tokenizer.ggml.fim_{name}_token_id", token)
    writer.add_ssm_conv_kernel(_KERNEL)
    writer.add_ssm_inner_size(2 * WIDTH)
    writer.add_ssm_state_size(_STATE)
    writer.add_ssm_time_step_rank(_RANK)
    _add(writer, "output_norm.weight", random(WIDTH, mean=1))
    for i in range(2):
        inner = 2 * WIDTH
        _add(writer, f"blk.{i}.attn_norm.weight", random(WIDTH, mean=1))
        _add(writer, f"blk.{i}.ssm_in.weight", random(2 * inner, WIDTH))
        _add(writer, f"blk.{i}.ssm_conv1d.weight", random(inner, _KERNEL))
        _add(writer, f"blk.{i}.ssm_conv1d.bias", random(inner))
        _add(writer, f"blk.{i}.ssm_x.weight", random(_RANK + 2 * _STATE, inner))
        _add(writer, f"blk.{i}.ssm_dt.weight", random(inner, _RANK))
        # A small time step and a slow decay, or nothing would be left of the past.
        _add(writer, f"blk.{i}.ssm_dt.bias", random(inner, mean=-3))
        _add(writer, f"blk.{i}.ssm_a", -np.exp(random(inner, _STATE, mean=-3)))
        _add(writer, f"blk.{i}.ssm_d", random(inner, mean=1))
        _add(writer, f"blk.{i}.ssm_out.weight", random(WIDTH, inner))
    _write(writer)


def hybrid(path: Path) -> None:
    """Write a model with recurrent layers and layers of attention, as LFM2 has them."""
    heads_kv = [0, 2, 0]
    writer, random = _begun(path, "lfm2", layers=len(heads_kv))
    writer.add_shortconv_l_cache(_KERNEL)
    _add_attention(writer, heads_kv)
    _add(writer, "token_embd_norm.weight", random(WIDTH, mean=1))
    for i, heads in enumerate(heads_kv):
        _add(writer, f"blk.{i}.attn_norm.weight", random(WIDTH, mean=1))
        if heads:
            _add_layer_of_attention(writer, random, i)
        else:
            _add(writer, f"blk.{i}.shortconv.conv.weight", random(WIDTH, _KERNEL))
            _add(writer, f"blk.{i}.shortconv.in_proj.weight", random(3 * WIDTH, WIDTH))
            _add(writer, f"blk.{i}.shortconv.out_proj.weight", random(WIDTH, WIDTH))
        _add_feed_forward(writer, random, i)
    _write(writer)


def sliding_window(path: Path, window: int = 48) -> None:
    """Write a model in which one layer sees all tokens and the others a window, as Gemma 3 has."""
    writer, random = _begun(path, "gemma3", layers=3)
    writer.add_sliding_window(window)
    writer.add_sliding_window_pattern([True, False, True])
    writer.add_key_length(WIDTH // 2)
    writer.add_value_length(WIDTH // 2)
    _add_attention(writer, [2, 2, 2])
    _add(writer, "output_norm.weight", random(WIDTH, mean=1))
    for i in range(3):
        _add(writer, f"blk.{i}.attn_norm.weight", random(WIDTH, mean=1))
        _add_layer_of_attention(writer, random, i)
        _add(writer, f"blk.{i}.post_attention_norm.weight", random(WIDTH, mean=1))
        _add_feed_forward(writer, random, i)
        _add(writer, f"blk.{i}.post_ffw_norm.weight", random(WIDTH, mean=1))
    _write(writer)


def _begun(path: Path, architecture: str, *, layers: int) -> tuple[gguf.GGUFWriter, Random]:
    writer = gguf.GGUFWriter(path, architecture)
    writer.add_context_length(CONTEXT_LENGTH)
    writer.add_embedding_length(WIDTH)
    writer.add_feed_forward_length(2 * WIDTH)
    writer.add_block_count(layers)
    writer.add_layer_norm_rms_eps(_EPSILON)
    writer.add_tokenizer_model("llama")
    writer.add_token_list([*_SPECIAL, *(f"<0x{byte:02X}>" for byte in range(256))])
    writer.add_token_scores([0.0] * _VOCABULARY)
    writer.add_token_types(
        [gguf.TokenType.UNKNOWN, *[gguf.TokenType.CONTROL] * 2, *[gguf.TokenType.BYTE] * 256]
    )
    writer.add_add_space_prefix(value=False)
    generator = np.random.default_rng(0)

    def random(*shape: int, mean: float = 0) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
        # The last dimension is that of the layer's input, so the output is of the same size.
        scale = 0.1 if len(shape) == 1 else 1 / np.sqrt(shape[-1])
        return generator.normal(mean, scale, shape).astype(np.float32)

    _add(writer, "token_embd.weight", random(_VOCABULARY, WIDTH))
    _add(writer, "output.weight", random(_VOCABULARY, WIDTH))
    return writer, random


def _add_attention(writer: gguf.GGUFWriter, heads_kv: list[int]) -> None:
    writer.add_head_count(2)
    writer.add_head_count_kv(heads_kv)


def _add_layer_of_attention(writer: gguf.GGUFWriter, random: Random, i: int) -> None:
    for name in ("q", "k", "v"):
        _add(writer, f"blk.{i}.attn_{name}.weight", random(WIDTH, WIDTH))
    # Attention that looks at few tokens and counts for much, or the past would change nothing.
    _add(writer, f"blk.{i}.attn_output.weight", 4 * random(WIDTH, WIDTH))
    for name in ("q", "k"):
        _add(writer, f"blk.{i}.attn_{name}_norm.weight", random(WIDTH // 2, mean=2))


def _add_feed_forward(writer: gguf.GGUFWriter, random: Random, i: int) -> None:
    _add(writer, f"blk.{i}.ffn_norm.weight", random(WIDTH, mean=1))
    _add(writer, f"blk.{i}.ffn_gate.weight", random(2 * WIDTH, WIDTH))
    _add(writer, f"blk.{i}.ffn_up.weight", random(2 * WIDTH, WIDTH))
    _add(writer, f"blk.{i}.ffn_down.weight", random(WIDTH, 2 * WIDTH))


def _add(
    writer: gguf.GGUFWriter, name: str, tensor: np.ndarray[tuple[int, ...], np.dtype[np.float32]]
) -> None:
    writer.add_tensor(name, np.ascontiguousarray(tensor, dtype=np.float32))


def _write(writer: gguf.GGUFWriter) -> None:
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
