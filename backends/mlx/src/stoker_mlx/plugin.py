"""What stoker reads of this backend; imports nothing of MLX."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import msgspec

import stoker
from stoker.artifact import ModelBundle
from stoker.backend import Availability, BackendSpec, Device, LoadProgress
from stoker.engine import Engine
from stoker.estimate import MemoryEstimate
from stoker.media_types import SAFETENSORS
from stoker_mlx import library
from stoker_mlx.options import MlxOptions


def load(bundle: ModelBundle, options: msgspec.Struct, progress: LoadProgress) -> Engine:
    """Load a model; see `stoker.backend.LoadEngine`.

    Raises:
        BackendUnavailableError: mlx-lm is missing, untested or broken.
        LoadError: It cannot load or run the model.
        OutOfMemoryError: It cannot because memory is short.
        OperationCancelledError: `progress` raised it.
    """
    progress("loading MLX", None)
    library.load()
    from stoker_mlx.loading import load_engine  # noqa: PLC0415 - imports MLX

    return load_engine(bundle, msgspec.convert(options, MlxOptions, from_attributes=True), progress)


def probe() -> Availability:
    """Whether a tested mlx-lm is installed, and MLX for this machine. Imports nothing of them."""
    return library.availability()


def devices() -> Sequence[Device]:
    """The processors that MLX finds, asked of a short-lived process of its own.

    Raises:
        BackendUnavailableError: That process failed or did not answer in time.
    """
    from stoker_mlx.devices import ask_devices  # noqa: PLC0415 - only this needs it

    return ask_devices()


def estimate(bundle: ModelBundle, options: msgspec.Struct) -> MemoryEstimate:
    """What a model takes, by its files' headers; see `stoker.estimate.EstimateMemory`.

    Raises:
        InvalidInputError: A file is missing or is not what it should be.
        BackendUnavailableError: The GPUs cannot be found out.
    """
    from stoker_mlx import estimate as estimating  # noqa: PLC0415 - only planning needs it

    return estimating.estimate(bundle, options)


@stoker.hookimpl
def stoker_register_backends() -> Iterable[BackendSpec]:
    """Offer MLX."""
    return [
        BackendSpec(
            name=library.BACKEND,
            media_types=(SAFETENSORS,),
            load=load,
            probe=probe,
            options_type=MlxOptions,
            devices=devices,
            estimate=estimate,
            priority=100,
        )
    ]
