"""A BERT in numpy, to compare llama.cpp's results with, and tiny ones to load.

The tiny ones have random weights and know only letters. They are made in no time, and everything
that a real model for embeddings or ranking goes through, they go through as well.
"""

from __future__ import annotations

import importlib.util
import math
import string
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import numpy.typing as npt
from gguf_file import Walk

TOOL = Path(__file__).parents[2] / "tools" / "minilm_to_gguf.py"
WORDS = (
    *("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"),
    *string.ascii_lowercase,
    *("##" + letter for letter in string.ascii_lowercase),
)
"""The tiny ones' vocabulary: each letter at the beginning of a word, and in it."""
LAYERS, HEADS, WIDTH, HIDDEN, CONTEXT = 2, 4, 32, 64, 64
RANK_POOLING = 4
_LAST_DIGITS = 1e-12
_F32, _F16 = 0, 1

Tensors = dict[str, npt.NDArray[Any]]


def converter() -> ModuleType:
    """The tool that writes GGUF files."""
    spec = importlib.util.spec_from_file_location("minilm_to_gguf", TOOL)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def write_tiny(
    path: Path,
    *,
    pooling: int | None = 1,
    classes: int = 0,
    rerank_template: str | None = None,
    seed: int = 1,
) -> Tensors:
    """Write a tiny model and return its tensors.

    Args:
        path: Where to.
        pooling: llama.cpp's number of the pooling; None leaves the key out.
        classes: How many numbers the classification head gives; 0 for no head.
        rerank_template: What the metadata has by this name.
        seed: For the weights.
    """
    tool = converter()
    random = np.random.default_rng(seed)
    tensors: Tensors = {}

    def add(name: str, *shape: int) -> None:
        tensors[f"{name}.weight"] = random.normal(0, 0.3, shape).astype(np.float32)
        tensors[f"{name}.bias"] = random.normal(0, 0.3, shape[0]).astype(np.float32)

    def add_norm(name: str) -> None:
        add(name, WIDTH)
        tensors[f"{name}.weight"] += 1

    for name, rows in (("token_embd", len(WORDS)), ("position_embd", CONTEXT), ("token_types", 2)):
        add(name, rows, WIDTH)
        del tensors[f"{name}.bias"]
    add_norm("token_embd_norm")
    for layer in range(LAYERS):
        for part in ("attn_q", "attn_k", "attn_v", "attn_output"):
            add(f"blk.{layer}.{part}", WIDTH, WIDTH)
        add(f"blk.{layer}.ffn_up", HIDDEN, WIDTH)
        add(f"blk.{layer}.ffn_down", WIDTH, HIDDEN)
        add_norm(f"blk.{layer}.attn_output_norm")
        add_norm(f"blk.{layer}.layer_output_norm")
    metadata = tool.architecture(
        layers=LAYERS,
        heads=HEADS,
        width=WIDTH,
        hidden=HIDDEN,
        context_length=CONTEXT,
        pooling=pooling or 0,
    )
    if pooling is None:
        del metadata["bert.pooling_type"]
    if classes:
        add("cls", WIDTH, WIDTH)
        add("cls.output", classes, WIDTH)
        metadata["bert.classifier.output_labels"] = [f"label {i}" for i in range(classes)]
    if rerank_template is not None:
        metadata["tokenizer.chat_template.rerank"] = rerank_template
    tool.write_gguf(path, {**metadata, **tool.tokenizer(WORDS)}, tensors)
    return tensors


def read_tensors(path: Path) -> Tensors:
    """The tensors of a GGUF file, as 32-bit floats."""
    data = path.read_bytes()
    walk = Walk(data)
    walk.skip_keys()
    infos = []
    for _ in range(walk.tensor_count):
        name = walk.text().decode()
        rank = walk.take("I")
        shape = walk.take(f"{rank}Q")
        kind, offset = walk.take("IQ")
        infos.append((name, (shape,) if rank == 1 else shape, kind, offset))
    return {
        name: np.frombuffer(
            data,
            dtype={_F32: "<f4", _F16: "<f2"}[kind],
            count=math.prod(shape),
            offset=walk.data_place + offset,
        )
        .reshape(shape[::-1])
        .astype(np.float32)
        for name, shape, kind, offset in infos
    }


def hidden_states(
    tensors: Tensors, tokens: Sequence[int], *, heads: int
) -> npt.NDArray[np.float32]:
    """What a BERT makes of a text: (tokens, width)."""
    count = len(tokens)
    state = tensors["token_embd.weight"][list(tokens)]
    state = state + tensors["position_embd.weight"][:count] + tensors["token_types.weight"][0]
    state = _norm(tensors, "token_embd_norm", state)
    for layer in _layers(tensors):
        query, key, value = (
            _linear(tensors, f"{layer}.attn_{part}", state).reshape(count, heads, -1)
            for part in "qkv"
        )
        scores = np.einsum("ihd,jhd->hij", query, key) / math.sqrt(query.shape[-1])
        weights = np.exp(scores - scores.max(axis=-1, keepdims=True))
        weights /= weights.sum(axis=-1, keepdims=True)
        mixed = np.einsum("hij,jhd->ihd", weights, value).reshape(count, -1)
        mixed = _linear(tensors, f"{layer}.attn_output", mixed)
        state = _norm(tensors, f"{layer}.attn_output_norm", state + mixed)
        inner = _gelu(_linear(tensors, f"{layer}.ffn_up", state))
        inner = _linear(tensors, f"{layer}.ffn_down", inner)
        state = _norm(tensors, f"{layer}.layer_output_norm", state + inner)
    return state


def mean_embedding(
    tensors: Tensors, tokens: Sequence[int], *, heads: int = HEADS
) -> npt.NDArray[np.float32]:
    """The mean of the tokens' vectors, of any length."""
    result: npt.NDArray[np.float32] = hidden_states(tensors, tokens, heads=heads).mean(axis=0)
    return result


def logits(
    tensors: Tensors, tokens: Sequence[int], *, heads: int = HEADS
) -> npt.NDArray[np.float32]:
    """What the classification head makes of the first token's vector."""
    first = hidden_states(tensors, tokens, heads=heads)[:1]
    return _linear(tensors, "cls.output", np.tanh(_linear(tensors, "cls", first)))[0]


def cosine(one: Any, other: Any) -> float:
    """The cosine of the angle between two vectors."""
    one, other = np.asarray(one, np.float64), np.asarray(other, np.float64)
    return float(one @ other / (np.linalg.norm(one) * np.linalg.norm(other)))


def _layers(tensors: Tensors) -> Iterator[str]:
    number = 0
    while f"blk.{number}.attn_q.weight" in tensors:
        yield f"blk.{number}"
        number += 1


def _linear(tensors: Tensors, name: str, state: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    result: npt.NDArray[np.float32] = state @ tensors[f"{name}.weight"].T + tensors[f"{name}.bias"]
    return result


def _norm(tensors: Tensors, name: str, state: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    centred = state - state.mean(axis=-1, keepdims=True)
    scaled = centred / np.sqrt((centred**2).mean(axis=-1, keepdims=True) + _LAST_DIGITS)
    result: npt.NDArray[np.float32] = scaled * tensors[f"{name}.weight"] + tensors[f"{name}.bias"]
    return result


def _gelu(state: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    erf = np.vectorize(math.erf, otypes=[np.float32])
    result: npt.NDArray[np.float32] = state * (1 + erf(state / math.sqrt(2))) / 2
    return result
