"""What stoker reads of this backend; imports nothing of llama.cpp."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import msgspec

import stoker
from stoker.artifact import ModelBundle
from stoker.backend import Availability, BackendSpec, Device, LoadProgress
from stoker.engine import Engine
from stoker.estimate import MemoryEstimate
from stoker.media_types import GGUF
from stoker_llama_cpp import binding
from stoker_llama_cpp.options import LlamaCppOptions
from stoker_llama_cpp.shortage import told_apart


def load(bundle: ModelBundle, options: msgspec.Struct, progress: LoadProgress) -> Engine:
    """Load a model; see `stoker.backend.LoadEngine`.

    Raises:
        BackendUnavailableError: llama-cpp-python is missing, untested or broken.
        LoadError: llama.cpp cannot load or run the model.
        OutOfMemoryError: It cannot because memory is short.
        OperationCancelledError: `progress` raised it.
    """
    binding.load()
    from stoker_llama_cpp.loading import load_engine  # noqa: PLC0415 - imports llama.cpp

    with told_apart():
        return load_engine(
            bundle, msgspec.convert(options, LlamaCppOptions, from_attributes=True), progress
        )


def probe() -> Availability:
    """Whether a tested llama-cpp-python is installed. Imports nothing of it."""
    return binding.availability()


def devices() -> Sequence[Device]:
    """The processors that llama.cpp finds, asked of a short-lived process of its own.

    Raises:
        BackendUnavailableError: That process failed or did not answer in time.
    """
    from stoker_llama_cpp.devices import ask_devices  # noqa: PLC0415 - only this needs it

    return ask_devices()


def estimate(bundle: ModelBundle, options: msgspec.Struct) -> MemoryEstimate:
    """What a model takes, by its files' headers; see `stoker.estimate.EstimateMemory`.

    Raises:
        InvalidInputError: A file is missing or no GGUF file.
        BackendUnavailableError: The GPUs cannot be found out.
    """
    from stoker_llama_cpp import estimate as estimating  # noqa: PLC0415 - only planning needs it

    return estimating.estimate(bundle, options)


@stoker.hookimpl
def stoker_register_backends() -> Iterable[BackendSpec]:
    """Offer llama.cpp."""
    return [
        BackendSpec(
            name=binding.BACKEND,
            media_types=(GGUF,),
            load=load,
            probe=probe,
            options_type=LlamaCppOptions,
            devices=devices,
            estimate=estimate,
            priority=100,
        )
    ]
