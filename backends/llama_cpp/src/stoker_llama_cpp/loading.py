"""From a bundle's files to an engine."""

from __future__ import annotations

import contextlib

from llama_cpp import llama_cpp as native

from stoker.artifact import ModelBundle
from stoker.backend import LoadProgress
from stoker.engine import Engine, EngineInfo, Mode
from stoker.errors import LoadError
from stoker_llama_cpp.cache_tiers import tiered_cache
from stoker_llama_cpp.context import Context
from stoker_llama_cpp.devices import native_devices
from stoker_llama_cpp.draft_loading import load_draft_model
from stoker_llama_cpp.engine import LlamaCppEngine
from stoker_llama_cpp.log import LOG
from stoker_llama_cpp.memory import memory_bytes
from stoker_llama_cpp.model import Model, load_model
from stoker_llama_cpp.options import LlamaCppOptions
from stoker_llama_cpp.pooling import pooling_type
from stoker_llama_cpp.pooling_context import PoolingContext
from stoker_llama_cpp.pooling_engine import LlamaCppPoolingEngine


def load_engine(bundle: ModelBundle, options: LlamaCppOptions, progress: LoadProgress) -> Engine:
    """Load a model; see `stoker.backend.LoadEngine`.

    Raises:
        LoadError: llama.cpp cannot load it, or it neither generates text nor has a pooling.
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
        pooling = pooling_type(model, options)
        if pooling is None and not model.generates:
            raise LoadError(_no_use(name))
        progress("preparing the context", None)
        context: Context | PoolingContext
        if pooling is not None:
            modes = _pooling_modes(name, model, pooling)
            context = PoolingContext(model, options, pooling)
        else:
            modes = frozenset({Mode.GENERATE})
            context = Context(model, options)
        undo.callback(context.close)
        if isinstance(context, Context) and not context.generates:
            raise LoadError(_no_use(name))
        progress("warming up", None)
        context.warm_up()
        info = _info(model, context.context_length, modes, options, memory_bytes(lines))
        if isinstance(context, PoolingContext):
            engine: Engine = LlamaCppPoolingEngine(model, context, info)
        else:
            draft_model = load_draft_model(bundle, model, context, options, progress)
            if draft_model is not None:
                undo.callback(draft_model.close)
            cache = tiered_cache(bundle, context, options)
            engine = LlamaCppEngine(model, context, info, cache, draft_model)
        undo.pop_all()
    return engine


def _no_use(name: str) -> str:
    return (
        f"{name} does not generate text token by token, and its file names no pooling to make"
        " embeddings by: if it is a model for embeddings, set the option pooling to what it was"
        " trained with. Models that translate with an encoder or work by diffusion cannot be run"
        " yet."
    )


def _pooling_modes(name: str, model: Model, pooling: int) -> frozenset[Mode]:
    """What a model with a pooling can be asked for.

    Raises:
        LoadError: It cannot be used so.
    """
    if native.llama_model_has_encoder(model.handle) and native.llama_model_has_decoder(
        model.handle
    ):
        raise LoadError(f"{name} has an encoder and a decoder: such models cannot be run yet.")
    if pooling != native.LLAMA_POOLING_TYPE_RANK:
        return frozenset({Mode.EMBED})
    if model.label_count != 1 and not model.scores_are_shares:
        raise LoadError(
            f"{name} tells {model.label_count} classes apart: a model that ranks gives one score."
        )
    return frozenset({Mode.RERANK})


def _info(
    model: Model,
    context_length: int,
    modes: frozenset[Mode],
    options: LlamaCppOptions,
    size_bytes: int | None,
) -> EngineInfo:
    offloads = options.gpu_layers != 0 and native.llama_supports_gpu_offload()
    devices = native_devices(gpus_only=True) if offloads else []
    return EngineInfo(
        context_length=context_length,
        vocabulary_size=len(model.vocabulary),
        chat_template=model.chat_template,
        special_tokens=model.vocabulary.special_tokens,
        devices=tuple(f"{item.name}: {item.description}" for item in devices or native_devices()),
        memory_bytes=size_bytes,
        modes=modes,
        embedding_length=model.embedding_length if Mode.EMBED in modes else None,
        matryoshka=Mode.EMBED in modes and options.matryoshka,
        # A pooling engine fills its steps with as many texts as fit.
        max_sequences=options.max_sequences if Mode.GENERATE in modes else None,
        prompt_logprobs=Mode.GENERATE in modes,
        infill=model.vocabulary.infill if Mode.GENERATE in modes else None,
    )
