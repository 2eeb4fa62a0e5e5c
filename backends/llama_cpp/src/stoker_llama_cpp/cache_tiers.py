"""The KV cache with its tiers: cells, host memory, files."""

from __future__ import annotations

import importlib.metadata
import sys

from stoker.artifact import ModelBundle
from stoker.cache_folder import cache_folder
from stoker.errors import LoadError
from stoker_llama_cpp.binding import BACKEND, DISTRIBUTION
from stoker_llama_cpp.context import Context
from stoker_llama_cpp.context_shape import prefix_ram_bytes
from stoker_llama_cpp.kv_cache import KVCache
from stoker_llama_cpp.options import LlamaCppOptions
from stoker_llama_cpp.prefix_files import PrefixFiles
from stoker_llama_cpp.saved_prefixes import SavedPrefixes

DEFAULT_KEPT_TOKENS = 256
"""llama.cpp looks at 256 cells more or less at a time, so fewer would not make it faster."""


def tiered_cache(bundle: ModelBundle, context: Context, options: LlamaCppOptions) -> KVCache:
    """Make the cache of a context, with the tiers behind it that the options ask for.

    Args:
        bundle: The model; files of prefixes are kept apart by its digest.
        context: Where the cells are.
        options: The limits of the tiers.

    Raises:
        LoadError: The limits do not fit together.
    """
    kept_tokens, saved = options.kept_tokens, None
    limit_bytes = prefix_ram_bytes(options, context.cells * context.token_bytes)
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
