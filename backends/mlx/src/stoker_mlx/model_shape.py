"""The shape of a model, by its `config.json` alone: how long texts may be, what a token takes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import attrs

from stoker.errors import InvalidArtifactError

_CONTEXT_KEYS = ("max_position_embeddings", "n_positions", "n_ctx", "max_sequence_length")
_LAYER_KEYS = ("num_hidden_layers", "n_layer", "n_layers", "num_layers")
_HEAD_KEYS = ("num_attention_heads", "n_head", "n_heads")
_KV_HEAD_KEYS = ("num_key_value_heads", "num_kv_heads", "n_head_kv")
_WIDTH_KEYS = ("hidden_size", "n_embd", "d_model", "dim")
_INNER_KEYS = ("intermediate_size", "n_inner", "ffn_hidden_size")
_FULL = frozenset({"full_attention", "attention", "global_attention"})
_WINDOWED = frozenset({"sliding_attention", "chunked_attention", "local_attention"})

_MOST_LAYERS = 10_000
_STATE_ROWS = 64

FULL, WINDOW, STATE = "full", "window", "state"


@attrs.frozen
class ModelShape:
    """The numbers on which a model's memory depends."""

    layers: tuple[str, ...]
    """What each layer remembers: all tokens, a window of them, or a state of fixed size."""
    width: int
    inner_width: int
    heads: int
    token_numbers: int
    """Numbers that a layer which remembers tokens keeps of each."""
    window: int
    vocabulary_size: int
    trained_context_length: int | None

    @classmethod
    def of(cls, config: Mapping[str, Any], *, name: str) -> ModelShape:
        """Read a config.

        Args:
            config: What `config.json` says.
            name: The model's, for the error.

        Raises:
            InvalidArtifactError: It lacks a number that every model has.
        """
        nested = config.get("text_config")
        table = {**config, **nested} if isinstance(nested, dict) else dict(config)
        width = _number(table, _WIDTH_KEYS)
        count = _number(table, _LAYER_KEYS)
        heads = _number(table, _HEAD_KEYS) or 1
        vocabulary = _number(table, ("vocab_size",))
        if not (width and count and vocabulary):
            raise InvalidArtifactError(
                f"config.json of {name} says no hidden_size, num_hidden_layers or vocab_size: it is"
                " no config of a language model."
            )
        if count > _MOST_LAYERS:
            raise InvalidArtifactError(f"config.json of {name} speaks of {count} layers.")
        kv_heads = _number(table, _KV_HEAD_KEYS) or heads
        head_width = _number(table, ("head_dim",)) or max(width // heads, 1)
        numbers = kv_heads * (head_width + (_number(table, ("v_head_dim",)) or head_width))
        if latent := _number(table, ("kv_lora_rank",)):
            # Such layers keep what keys and values are made of.
            numbers = latent + _number(table, ("qk_rope_head_dim",))
        return cls(
            layers=_layers(table, count),
            width=width,
            inner_width=_number(table, _INNER_KEYS) or 4 * width,
            heads=heads,
            token_numbers=numbers,
            window=_number(table, ("sliding_window", "attention_window_size")),
            vocabulary_size=vocabulary,
            trained_context_length=_number(table, _CONTEXT_KEYS) or None,
        )

    def cached_numbers(self, tokens: int) -> tuple[int, int]:
        """Numbers in the caches of one sequence.

        Returns:
            Those of layers that remember all tokens, and those of others.
        """
        full = self.layers.count(FULL) * tokens * self.token_numbers
        within = min(tokens, self.window) if self.window else tokens
        windows = self.layers.count(WINDOW) * within * self.token_numbers
        # A state is a few rows of the model's width; no config says how many.
        states = self.layers.count(STATE) * self.width * _STATE_ROWS
        return full, windows + states


def _layers(table: Mapping[str, Any], count: int) -> tuple[str, ...]:
    kinds = table.get("layer_types") or table.get("layers_block_type")
    if isinstance(kinds, list) and len(kinds) == count:
        return tuple(
            FULL if kind in _FULL else WINDOW if kind in _WINDOWED else STATE for kind in kinds
        )
    pattern = _number(table, ("sliding_window_pattern", "global_attn_every_n_layers"))
    if pattern and table.get("sliding_window"):
        return tuple(FULL if i % pattern == pattern - 1 else WINDOW for i in range(count))
    if table.get("state_size") and not table.get("num_attention_heads"):
        return (STATE,) * count
    return (FULL,) * count


def _number(table: Mapping[str, Any], keys: tuple[str, ...]) -> int:
    """The first number that there is, or 0."""
    for key in keys:
        value = table.get(key)
        if isinstance(value, int) and not isinstance(value, bool) and value > 0:
            return value
    return 0
