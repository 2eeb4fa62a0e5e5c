"""What stoker loads: the record of the store, and the table of artifact media types."""

from __future__ import annotations

from collections.abc import Iterable
from importlib import metadata

import stoker
from stoker.backend import Availability
from stoker.formats import FormatRule
from stoker.store import Store, StoreContext, StoreSpec
from stoker_registry.formats import FORMAT_RULES
from stoker_registry.options import OciOptions


def _make_store(context: StoreContext) -> Store:
    from stoker_registry.store import OciStore  # noqa: PLC0415 - only a used store costs its imports

    return OciStore(context)


def _probe() -> Availability:
    try:
        version = metadata.version("oras")
    except metadata.PackageNotFoundError:
        return Availability(
            available=False, reason="oras is not installed: pip install stoker[registry]"
        )
    return Availability(available=True, reason=f"oras {version}")


@stoker.hookimpl
def stoker_register_stores() -> Iterable[StoreSpec]:
    """The store `oci`; it takes the references that have no scheme."""
    return (StoreSpec("oci", _make_store, probe=_probe, options_type=OciOptions),)


@stoker.hookimpl
def stoker_register_formats() -> Iterable[FormatRule]:
    """The media types of Docker's, ModelPack's and Ollama's artifacts."""
    return FORMAT_RULES
