"""From a bundle's files to an engine."""

from __future__ import annotations

import contextlib

from llama_cpp import llama_cpp as native

from stoker.artifact import ModelBundle
from stoker.backend import LoadProgress
from stoker.engine import EngineInfo
from stoker.errors import LoadError
from stoker_llama_cpp.context import Context
from stoker_llama_cpp.devices import native_devices
from stoker_llama_cpp.engine import LlamaCppEngine
from stoker_llama_cpp.log import LOG
from stoker_llama_cpp.memory import memory_bytes
from stoker_llama_cpp.model import Model, load_model
from stoker_llama_cpp.options import LlamaCppOptions


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
        undo.pop_all()
    return LlamaCppEngine(model, context, info)


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
