"""The `[backends.mlx]` table of the config."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

Bytes = Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]
Count = Annotated[int, msgspec.Meta(ge=1, le=2**31 - 1)]
Pooling = Literal["mean", "last"]
NumberType = Literal["float16", "bfloat16", "float32"]


class MlxOptions(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How to load a model and run it; stoker decodes and checks it."""

    context_length: Annotated[int, msgspec.Meta(ge=2, le=2**31 - 1)] | None = None
    """Most tokens of one sequence; unset takes what the model was trained for, at most 8192."""
    cache_tokens: Count | None = None
    """Tokens that the KV cache holds for all sequences together; unset is `context_length`.

    Sequences that are computed together take as much as the longest of them each. When there is
    no room, the newest one is put back into the queue and read again later.
    """
    max_sequences: Annotated[int, msgspec.Meta(ge=1, le=256)] = 8
    """Most sequences that run side by side; more wait in a queue."""
    read_tokens: Count = 512
    """Most tokens of a prompt that one step reads. Beside running answers it reads fewer."""
    prefix_cache_bytes: Bytes | None = None
    """Memory for beginnings of prompts that were read before; 0 is none.

    Taken as prefixes come, not at once. Unset is as much as the KV cache takes, and at least
    256 MiB.
    """
    kv_bits: Literal[4, 8] | None = None
    """Bits of a number in the KV cache; unset keeps the model's own numbers.

    Layers with a sliding window or a recurrent state are left as they are.
    """
    kv_group_size: Literal[32, 64, 128] = 64
    """How many numbers share a scale in a quantised KV cache; has to divide the heads' width."""
    numbers: NumberType | None = None
    """What the weights' floats are turned into; unset leaves them, but where they are slow.

    On processors these are float16, and bfloat16 beside quantised weights: both become float32,
    which for unquantised weights takes twice the memory.
    """
    pooling: Pooling | None = None
    """How a text's token vectors become one; unset does what the model's files say.

    Files say it in `1_Pooling/config.json`. With it a model makes embeddings and does not generate.
    """
    matryoshka: bool = False
    """Whether the model was trained so that the first numbers of an embedding are one as well."""
