"""From a bundle's files to an engine."""

from __future__ import annotations

import contextlib
import importlib.metadata
import sys

from llama_cpp import llama_cpp as native

from stoker.artifact import ModelBundle
from stoker.backend import LoadProgress
from stoker.cache_folder import cache_folder
from stoker.engine import EngineInfo
from stoker.errors import LoadError
from stoker_llama_cpp.binding import BACKEND, DISTRIBUTION
from stoker_llama_cpp.context import Context
from stoker_llama_cpp.devices import native_devices
from stoker_llama_cpp.engine import LlamaCppEngine
from stoker_llama_cpp.kv_cache import KVCache
from stoker_llama_cpp.log import LOG
from stoker_llama_cpp.memory import memory_bytes
from stoker_llama_cpp.model import Model, load_model
from stoker_llama_cpp.options import LlamaCppOptions
from stoker_llama_cpp.prefix_files import PrefixFiles
from stoker_llama_cpp.saved_prefixes import SavedPrefixes

DEFAULT_KEPT_TOKENS = 512
"""Measured with SmolLM2 135M on one core: 512 foreign tokens in the KV cache make one of a lone
answer 2% slower, 1024 5%, 3584 21%."""

_LEAST_RAM_BYTES = 2**28


def load_engine(
    bundle: ModelBundle, options: LlamaCppOptions, progress: LoadProgress
) -> LlamaCppEngine:
    """Load a model; see `stoker.backend.LoadEngine`.

    Raises:
        LoadError: llama.cpp cannot load it, or it does not generate text.
        OperationCancelledError: `progress` raised it.
    """
    name = bundle.reference.familiar
    if not bundle.weights:
        raise LoadError(f"{name} has no weights.")
    LOG.install()
    native.llama_backend_init()
    with contextlib.ExitStack() as undo, LOG.recording() as lines:
        model = load_model(bundle.weights, options, progress)
        undo.callback(model.close)
        if not model.generates:
            raise LoadError(_no_generation(name))
        progress("preparing the context", None)
        context = Context(model, options)
        undo.callback(context.close)
        if not context.generates:
            raise LoadError(_no_generation(name))
        progress("warming up", None)
        context.warm_up()
        info = _info(model, context, options, memory_bytes(lines))
        cache = _cache(bundle, context, options)
        undo.pop_all()
    return LlamaCppEngine(model, context, info, cache)


def _cache(bundle: ModelBundle, context: Context, options: LlamaCppOptions) -> KVCache:
    kept_tokens, saved = options.kept_tokens, None
    limit_bytes = options.prefix_ram_bytes
    if limit_bytes is None:
        limit_bytes = max(context.cells * context.token_bytes, _LEAST_RAM_BYTES)
    if options.prefix_disk_bytes and not limit_bytes:
        raise LoadError(
            "prefix_disk_bytes is set, but prefix_ram_bytes is 0: what goes to files passes through"
            " host memory, so give that some, too."
        )
    if context.saves and limit_bytes:
        files = None
        if options.prefix_disk_bytes:
            files = PrefixFiles(
                cache_folder(BACKEND),
                {
                    "model": str(bundle.digest),
                    "binding": importlib.metadata.version(DISTRIBUTION),
                    "byte_order": sys.byteorder,
                    # Some models scale positions by the size of the context.
                    "cells": context.cells,
                    "type_k": options.cache_type_k,
                    "type_v": options.cache_type_v,
                    "flash_attention": options.flash_attention,
                },
                limit_bytes=options.prefix_disk_bytes,
            )
        saved = SavedPrefixes(limit_bytes=limit_bytes, exact=context.exact, files=files)
        kept_tokens = DEFAULT_KEPT_TOKENS if kept_tokens is None else kept_tokens
    return KVCache(
        context,
        cells=context.cells,
        slots=context.slots,
        keeps=context.shares,
        kept_tokens=kept_tokens,
        saved=saved,
    )


def _no_generation(name: str) -> str:
    return (
        f"{name} does not generate text token by token: models that make embeddings, translate with"
        " an encoder or work by diffusion cannot be run yet."
    )


def _info(
    model: Model, context: Context, options: LlamaCppOptions, size_bytes: int | None
) -> EngineInfo:
    offloads = options.gpu_layers != 0 and native.llama_supports_gpu_offload()
    devices = native_devices(gpus_only=True) if offloads else []
    return EngineInfo(
        context_length=context.context_length,
        vocabulary_size=len(model.vocabulary),
        chat_template=model.chat_template,
        special_tokens=model.vocabulary.special_tokens,
        devices=tuple(f"{item.name}: {item.description}" for item in devices or native_devices()),
        memory_bytes=size_bytes,
    )
