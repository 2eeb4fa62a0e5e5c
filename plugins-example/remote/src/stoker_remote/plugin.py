"""What stoker reads of this backend: its options, its weight format and its record."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterable
from typing import Annotated

import msgspec

import stoker
from stoker.artifact import ModelBundle
from stoker.backend import Availability, BackendSpec, LoadProgress
from stoker.engine import TextEngine
from stoker.estimate import DeviceNeed, MemoryEstimate
from stoker.formats import FormatRule
from stoker.media_types import MediaType, Role

REMOTE = MediaType("application/vnd.stoker.remote.v1+json")
PROCESS_BYTES = 60_000_000
"""A runner with an HTTP client in it; the model takes its memory elsewhere."""


class RemoteOptions(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The `[backends.remote]` table of the config."""

    timeout_s: Annotated[float, msgspec.Meta(gt=0)] = 120.0
    """How long the server may be silent: before its answer, and between two pieces of it."""
    max_streams: Annotated[int, msgspec.Meta(ge=1, le=1000)] = 32
    """How many answers one model's server is asked for at the same time; the others wait."""
    api_key_variable: str = ""
    """The variable of the environment that has the server's API key; empty sends none."""


def load(bundle: ModelBundle, options: msgspec.Struct, progress: LoadProgress) -> TextEngine:
    """Get ready to ask; see `stoker.backend.LoadEngine`.

    Raises:
        LoadError: The file says nothing of use, or the variable with the key is not set.
    """
    from stoker_remote.engine import open_engine  # noqa: PLC0415 - imports httpx

    progress("reading where the model is", None)
    return open_engine(
        bundle.weights, msgspec.convert(options, RemoteOptions, from_attributes=True)
    )


def probe() -> Availability:
    """Whether the HTTP client is there; whether the server is turns out when it is asked."""
    if importlib.util.find_spec("httpx") is None:
        return Availability(available=False, reason="httpx is not installed: pip install httpx")
    return Availability(available=True, reason="asks a server elsewhere")


def estimate(bundle: ModelBundle, options: msgspec.Struct) -> MemoryEstimate:
    """What it takes here, whatever the context's length."""
    del bundle, options
    needs = (DeviceNeed(process_bytes=PROCESS_BYTES),)
    return MemoryEstimate(needs=lambda _length: needs)


@stoker.hookimpl
def stoker_register_backends() -> Iterable[BackendSpec]:
    """Offer models that run elsewhere."""
    return [
        BackendSpec(
            name="remote",
            media_types=(REMOTE,),
            load=load,
            probe=probe,
            options_type=RemoteOptions,
            estimate=estimate,
        )
    ]


@stoker.hookimpl
def stoker_register_formats() -> Iterable[FormatRule]:
    """Say which layers of an artifact are remote models."""
    return [FormatRule(Role.WEIGHTS, media_type=REMOTE)]
