"""From a bundle's files to an engine."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

import mlx.core as mx

from stoker.artifact import ModelBundle
from stoker.backend import LoadProgress
from stoker.engine import Engine, EngineInfo, Mode
from stoker.errors import LoadError
from stoker.media_types import Role
from stoker_mlx.adapters import apply_adapter
from stoker_mlx.caches import Caches, evaluate, new_caches, size_bytes
from stoker_mlx.devices import native_devices
from stoker_mlx.engine import MlxEngine
from stoker_mlx.footprint import COMMON_CONTEXT_LENGTH, prefix_bytes
from stoker_mlx.memory import Memory
from stoker_mlx.model import read_model
from stoker_mlx.model_files import ModelFiles
from stoker_mlx.model_shape import ModelShape
from stoker_mlx.options import MlxOptions
from stoker_mlx.pooling import pooling_of
from stoker_mlx.pooling_engine import MlxPoolingEngine
from stoker_mlx.tokenizer import Tokenizer

_ROOM_TOKENS = 256
"""For so many tokens caches make room with the first one."""


def load_engine(bundle: ModelBundle, options: MlxOptions, progress: LoadProgress) -> Engine:
    """Load a model; see `stoker.backend.LoadEngine`.

    Raises:
        InvalidArtifactError: A file is not what it should be.
        LoadError: mlx-lm cannot load it, or it does not do what is asked of it.
        OperationCancelledError: `progress` raised it.
    """
    files = ModelFiles.of(bundle)
    shape = ModelShape.of(files.json("config.json"), name=files.name)
    progress("reading the tokenizer", None)
    tokenizer = Tokenizer(files, size=shape.vocabulary_size)
    memory = Memory()
    try:
        progress("reading weights", None)
        model = read_model(files, options.numbers)
        adapter = _adapter(bundle)
        if adapter is not None:
            progress("adding the adapter", None)
            apply_adapter(model, adapter, files)
        context_length = options.context_length or min(
            shape.trained_context_length or COMMON_CONTEXT_LENGTH, COMMON_CONTEXT_LENGTH
        )
        pooling = options.pooling or pooling_of(files)
        info = EngineInfo(
            context_length=context_length,
            vocabulary_size=shape.vocabulary_size,
            chat_template=tokenizer.chat_template,
            special_tokens=tokenizer.special_tokens,
            devices=tuple(f"{item.name}: {item.description}" for item in native_devices()[:1]),
            memory_bytes=memory.used_bytes,
            modes=frozenset({Mode.GENERATE if pooling is None else Mode.EMBED}),
            embedding_length=None if pooling is None else shape.width,
            matryoshka=pooling is not None and options.matryoshka,
            max_sequences=options.max_sequences if pooling is None else None,
            infill=tokenizer.infill if pooling is None else None,
            prompt_logprobs=pooling is None,
        )
        progress("warming up", None)
        if pooling is not None:
            return MlxPoolingEngine(
                model, tokenizer, info, memory, pooling=pooling, batch_tokens=options.read_tokens
            )
        make = functools.partial(
            new_caches, model, kv_bits=options.kv_bits, kv_group_size=options.kv_group_size
        )
        cache_tokens = max(options.cache_tokens or context_length, context_length)
        return MlxEngine(
            model,
            tokenizer,
            info,
            memory,
            make_caches=make,
            max_sequences=options.max_sequences,
            cache_tokens=cache_tokens,
            read_tokens=options.read_tokens,
            prefix_bytes=prefix_bytes(
                options.prefix_cache_bytes, _token_bytes(model, make(), files.name) * cache_tokens
            ),
        )
    except BaseException:
        memory.release()
        raise


def _adapter(bundle: ModelBundle) -> Path | None:
    """The artifact's adapter, if it has one.

    Raises:
        LoadError: It has several.
    """
    paths = bundle.paths(Role.ADAPTER)
    if len(paths) > 1:
        raise LoadError(
            f"{bundle.reference.familiar} has {len(paths)} adapters: the backend mlx takes one."
        )
    return next(iter(paths), None)


def _token_bytes(model: Any, caches: Caches, name: str) -> int:
    """What a token takes in caches; finds out as well whether the model computes at all.

    Raises:
        LoadError: It does not, or not with these options.
    """
    try:
        mx.eval(model(mx.zeros((1, 1), dtype=mx.int32), cache=caches))
        evaluate(caches)
    except (RuntimeError, ValueError, TypeError) as exc:
        raise LoadError(
            f"{name} cannot compute: {exc}. With kv_bits set, kv_group_size has to divide the width"
            " of the model's heads."
        ) from exc
    return size_bytes(caches) // _ROOM_TOKENS
