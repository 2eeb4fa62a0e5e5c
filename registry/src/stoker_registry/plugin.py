"""What stoker loads: the records of the stores, and the table of artifact media types."""

from __future__ import annotations

from collections.abc import Iterable
from importlib import metadata

import stoker
from stoker.backend import Availability
from stoker.formats import FormatRule
from stoker.reference import PATH_SCHEME
from stoker.store import Store, StoreContext, StoreSpec
from stoker_registry.formats import FORMAT_RULES
from stoker_registry.options import HfCacheOptions, OciOptions


def _make_store(context: StoreContext) -> Store:
    from stoker_registry.store import OciStore  # noqa: PLC0415 - only a used store costs its imports

    return OciStore(context)


def _make_file_store(context: StoreContext) -> Store:
    from stoker_registry.file_store import FileStore  # noqa: PLC0415 - as above

    return FileStore(context)


def _make_hf_cache_store(context: StoreContext) -> Store:
    from stoker_registry.hf_cache_store import HfCacheStore  # noqa: PLC0415 - as above

    return HfCacheStore(context)


def _probe() -> Availability:
    try:
        version = metadata.version("requests")
    except metadata.PackageNotFoundError:
        return Availability(
            available=False, reason="requests is not installed: pip install stoker[registry]"
        )
    return Availability(available=True, reason=f"requests {version}")


@stoker.hookimpl
def stoker_register_stores() -> Iterable[StoreSpec]:
    """The stores: `oci` takes the references without a scheme, the others what is on the disk."""
    return (
        StoreSpec("oci", _make_store, probe=_probe, options_type=OciOptions),
        StoreSpec("file", _make_file_store, schemes=(PATH_SCHEME,), names_files=True),
        StoreSpec(
            "hf-cache", _make_hf_cache_store, schemes=("hf-cache",), options_type=HfCacheOptions
        ),
    )


@stoker.hookimpl
def stoker_register_formats() -> Iterable[FormatRule]:
    """The media types of Docker's, ModelPack's and Ollama's artifacts."""
    return FORMAT_RULES
