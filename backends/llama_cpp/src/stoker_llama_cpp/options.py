"""The `[backends."llama.cpp"]` table of the config."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

MAX_SEQUENCES = 256
"""LLAMA_MAX_SEQ of llama.cpp's src/llama-cparams.h: a larger number makes it refuse to load."""

Bytes = Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]
Count = Annotated[int, msgspec.Meta(ge=1, le=2**31 - 1)]
Pooling = Literal["mean", "cls", "last", "rank"]
CacheType = Literal["f32", "f16", "q8_0", "q5_1", "q5_0", "q4_1", "q4_0"]


class LlamaCppOptions(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How to load a model and run it; stoker decodes and checks it."""

    context_length: Annotated[int, msgspec.Meta(ge=2, le=2**31 - 1)] | None = None
    """Most tokens of one sequence; unset takes what the model was trained for, at most 8192.

    Models that make embeddings or rank take at most 2048 when it is unset: they read each text at
    once, with memory for all of its tokens.
    """
    cache_tokens: Count | None = None
    """Tokens that the KV cache holds for all sequences together; unset is `context_length`.

    Sequences share the cache. When it is full, the newest one is put back into the queue and read
    again later, so more room means less waiting, never other answers. What running sequences do
    not need keeps prefixes. A token takes the same memory wherever it stands: with 16-bit numbers,
    4 bytes for each layer, KV head and dimension of a head.
    """
    prefix_cache: bool = True
    """Start from what is in the cache of the beginning of a prompt, also of ended sequences."""
    speculation: bool = True
    """Guess tokens by what came before in the text, and verify several in one step.

    It makes answers faster that repeat parts of the prompt, and changes none: what is sampled is
    what would have been sampled without. Only the last digits of the numbers depend on how many
    tokens are computed together. So where two tokens are all but equally likely, a seed may give
    another text than the last time; switched off, a request alone gives the same one each time.
    """
    kept_tokens: Annotated[int, msgspec.Meta(ge=0, le=2**31 - 1)] | None = None
    """Most tokens of ended sequences that stay in the KV cache while others run.

    More of them make each token of a lone answer slower, whether it uses them or not. Unset is
    256 when there is host memory for the others, else as many as there is room for.
    """
    prefix_ram_bytes: Bytes | None = None
    """Host memory for prefixes that have left the KV cache; 0 is none.

    Taken as prefixes come, not at once. Unset is as much as the KV cache takes, and at least
    256 MiB. A prefix that comes back is copied, which is much faster than to compute it.
    """
    prefix_disk_bytes: Bytes = 0
    """Disk space in stoker's home for prefixes of all models, which then outlive the process.

    0 is none, the default: the files hold what users wrote, in a form that can be read back. They
    are written when host memory is full, when nothing runs, and when the model is unloaded.
    """
    draft_model: str | None = None
    """A GGUF file of a small model with the same vocabulary, which guesses where lookup does not.

    It takes the place of one that the artifact has in a layer for drafts. Guesses are verified like
    all others, and a sequence for which they do not pay does without.
    """
    max_sequences: Annotated[int, msgspec.Meta(ge=1, le=MAX_SEQUENCES)] = 8
    """Most sequences that run side by side; more wait in a queue."""
    batch_size: Count = 512
    """Most tokens that one step may compute; at least `max_sequences`.

    A larger one reads prompts faster on large GPUs. Cancelling waits for the end of a step.
    """
    ubatch_size: Count = 512
    """Most tokens that are computed at once, within a step; takes memory."""
    threads: Annotated[int, msgspec.Meta(ge=1, le=512)] | None = None
    """Processor threads; unset takes the physical cores that this process may use."""
    gpu_layers: Annotated[int, msgspec.Meta(ge=0, le=2**31 - 1)] | None = None
    """Layers to put on the GPU; unset puts all there. Without a GPU it does nothing."""
    mmap: bool = True
    """Map the weights' file into memory, so that several processes share it."""
    flash_attention: Literal["auto", "on", "off"] = "auto"
    """Whether to use fused attention kernels; a quantised V cache needs them."""
    cache_type_k: CacheType = "f16"
    """Number format of the cached keys."""
    cache_type_v: CacheType = "f16"
    """Number format of the cached values."""
    pooling: Pooling | None = None
    """How a text's token vectors become one; unset does what the model's file says.

    It makes embeddings of any model, and with `rank`, which needs a classifier in the file, scores.
    The cache settings, `max_sequences` and `ubatch_size` have no say over such models: a step
    reads whole texts, as many as `batch_size` holds, and at least one.
    """
    matryoshka: bool = False
    """Whether the model was trained so that the first numbers of an embedding are one as well.

    Files do not say it; model cards do. Only then may requests ask for fewer `dimensions`.
    """
