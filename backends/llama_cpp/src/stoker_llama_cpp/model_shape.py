"""A model's shape, as far as its memory goes by it, from the headers of its files.

Which layers keep what is told by the tensors that they have and not by a table of architectures:
a new architecture is then right without a change here, as long as it is made of known parts.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

import attrs

from stoker.weights import GgufHeader, GgufTensor

_LAYER = re.compile(r"blk\.(\d+)\.(.+)")
_RECURRENT = ("ssm_", "shortconv.", "time_mix_")
# `n_layer_kv_from_start` in llama.cpp's src/models/gemma3n.cpp; gemma4 says it in its file.
_GEMMA3N_LAYERS_WITH_CACHE = 20
_TOKENS = "tokenizer.ggml.tokens"
_PATTERN = "attention.sliding_window_pattern"
# Every so many layers one looks at everything: `load_swa_pattern` in llama.cpp's src/models.
_PERIODS = {"gemma2": 2, "gemma3": 6, "gemma3n": 5}


@attrs.frozen
class LayerShape:
    """One layer."""

    tensor_bytes: int = 0
    copied_bytes: int = 0
    """Of these, what a processor keeps a second time, in an order that it computes faster with."""
    key_width: int = 0
    """Numbers that it caches of each token as key; 0 without attention."""
    value_width: int = 0
    state_width: int = 0
    """Numbers of its state for each sequence; 0 unless it is recurrent."""
    has_window: bool = False
    """Whether its attention looks back as far as the model's sliding window only."""


@attrs.frozen
class ModelShape:
    """A model.

    Attributes:
        layers: The layers, in order.
        input_bytes: The embeddings of tokens.
        output_bytes: What comes after the layers. Tied embeddings are not in it.
        tied: Whether the embeddings of tokens are the last matrix, too.
        vocabulary_size: How many tokens there are.
        width: Numbers of a token between two layers.
        inner_width: Numbers of a token inside the widest feed-forward part.
        heads: Heads of the queries.
        window: Tokens that layers with a sliding window look back to; 0 when there are none.
        pools: Whether it makes one vector of a text, by its file's word.
        trained_context_length: None when the file does not say.
    """

    layers: tuple[LayerShape, ...]
    input_bytes: int
    output_bytes: int
    tied: bool
    vocabulary_size: int
    width: int
    inner_width: int
    heads: int
    window: int
    pools: bool
    trained_context_length: int | None

    @classmethod
    def from_headers(cls, headers: Sequence[GgufHeader]) -> ModelShape:
        """Put the shards' headers together; the first one has the metadata."""
        first = headers[0]
        tensors = [tensor for header in headers for tensor in header.tensors]
        layers: dict[int, list[tuple[str, GgufTensor]]] = {}
        rest: dict[str, GgufTensor] = {}
        for tensor in tensors:
            match = _LAYER.fullmatch(tensor.name)
            if match:
                layers.setdefault(int(match[1]), []).append((match[2], tensor))
            else:
                rest[tensor.name] = tensor
        metadata = _Metadata(first)
        embeddings = rest.pop("token_embd.weight", None)
        return cls(
            layers=tuple(_layer(index, layers[index], metadata) for index in sorted(layers)),
            input_bytes=embeddings.size_bytes if embeddings else 0,
            output_bytes=sum(tensor.size_bytes for tensor in rest.values()),
            tied="output.weight" not in rest,
            vocabulary_size=first.array_lengths.get(_TOKENS) or metadata.number("vocab_size"),
            width=metadata.number("embedding_length"),
            inner_width=metadata.most("feed_forward_length"),
            heads=metadata.most("attention.head_count"),
            window=metadata.number("attention.sliding_window"),
            pools=metadata.number("pooling_type") > 0,
            trained_context_length=first.context_length,
        )


@attrs.frozen
class _Metadata:
    """Numbers of the architecture, 0 where they are missing."""

    header: GgufHeader

    def number(self, key: str) -> int:
        return self.header.number(f"{self.header.architecture}.{key}") or 0

    @property
    def is_encoder(self) -> bool:
        """Whether tokens see those that come after them, so that nothing can be cached."""
        return self.header.metadata.get(f"{self.header.architecture}.attention.causal") is False

    def of_layer(self, key: str, layer: int) -> int:
        """A number that may differ from layer to layer."""
        values = self.header.arrays.get(f"{self.header.architecture}.{key}", ())
        return int(values[layer]) if layer < len(values) else self.number(key)

    def most(self, key: str) -> int:
        values = self.header.arrays.get(f"{self.header.architecture}.{key}", ())
        return max((int(value) for value in values), default=self.number(key))


def _layer(index: int, named: Iterable[tuple[str, GgufTensor]], metadata: _Metadata) -> LayerShape:
    tensors = dict(named)
    key_width, value_width = _cached(index, tensors, metadata)
    recurrent = any(name.startswith(_RECURRENT) for name in tensors)
    return LayerShape(
        tensor_bytes=sum(tensor.size_bytes for tensor in tensors.values()),
        copied_bytes=sum(t.size_bytes for t in tensors.values() if _is_repacked(t)),
        key_width=key_width,
        value_width=value_width,
        state_width=_state_width(metadata) if recurrent else 0,
        has_window=_has_window(index, metadata),
    )


# The types that ggml's CPU backend arranges anew on x86 with AVX2, which 4-bit models profit from
# (`ggml_repack_get_optimal_repack_type` in ggml/src/ggml-cpu/repack.cpp), as measured: Q4_0, Q2_K,
# Q4_K, IQ4_NL. Other processors take one more or less.
_REPACKED_KINDS = frozenset({2, 10, 12, 20})
_REPACKED_ROWS = 8
_MATRIX = 2


def _is_repacked(tensor: GgufTensor) -> bool:
    return (
        tensor.kind in _REPACKED_KINDS
        and len(tensor.shape) == _MATRIX
        and tensor.shape[1] % _REPACKED_ROWS == 0
    )


def _cached(index: int, tensors: dict[str, GgufTensor], metadata: _Metadata) -> tuple[int, int]:
    """How many numbers a layer caches of each token, as key and as value."""
    if not _has_cache(index, metadata) or metadata.is_encoder:
        return 0, 0
    latent = tensors.get("attn_kv_a_mqa.weight")
    if latent is not None and metadata.number("attention.key_length_mla"):
        # The latent vector is key and value at once.
        return latent.shape[1], 0
    key, value = tensors.get("attn_k.weight"), tensors.get("attn_v.weight")
    if key is not None:
        return key.shape[1], (value or key).shape[1]
    if latent is None and not any(name.startswith("attn_qkv") for name in tensors):
        return 0, 0
    heads = metadata.of_layer("attention.head_count", index)
    cached_heads = metadata.of_layer("attention.head_count_kv", index) or heads
    each = metadata.number("embedding_length") // max(heads, 1)
    return (
        cached_heads * (metadata.number("attention.key_length") or each),
        cached_heads * (metadata.number("attention.value_length") or each),
    )


def _has_cache(index: int, metadata: _Metadata) -> bool:
    """Whether a layer has a cache of its own; the last ones of some models use that of others."""
    count = metadata.number("block_count")
    if metadata.header.architecture == "gemma3n":
        return index < _GEMMA3N_LAYERS_WITH_CACHE
    return index < count - metadata.number("attention.shared_kv_layers")


def _has_window(index: int, metadata: _Metadata) -> bool:
    """Whether a layer has a sliding window, by the file or by what llama.cpp knows of its kind.

    Of a kind that is not known none has one, which makes an estimate too large and not too small.
    """
    if not metadata.number("attention.sliding_window"):
        return False
    key = f"{metadata.header.architecture}.{_PATTERN}"
    if key in metadata.header.arrays:
        return bool(metadata.of_layer(_PATTERN, index))
    period = metadata.number(_PATTERN) or _PERIODS.get(metadata.header.architecture or "", 1)
    return index % period < period - 1


def _state_width(metadata: _Metadata) -> int:
    """Numbers of a recurrent layer's state.

    As `n_embd_r` and `n_embd_s` in llama.cpp's src/llama-hparams.cpp.
    """
    width = metadata.number("embedding_length")
    if head_size := metadata.number("wkv.head_size"):
        return width * ((metadata.number("token_shift_count") or 2) + head_size)
    if length := metadata.number("shortconv.l_cache"):
        return width * (length - 1)
    inner, state = metadata.number("ssm.inner_size"), metadata.number("ssm.state_size")
    groups = metadata.number("ssm.group_count")
    history = max(metadata.number("ssm.conv_kernel") - 1, 0)
    return history * (inner + 2 * groups * state) + state * inner
