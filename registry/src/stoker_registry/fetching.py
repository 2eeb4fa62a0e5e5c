"""What a download fetches, and the means for it."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import attrs

from stoker.digest import Digest
from stoker.errors import InvalidArtifactError
from stoker.manifest import Descriptor
from stoker_registry.backoff import Backoff
from stoker_registry.blob_stream import BlobStream
from stoker_registry.blobs import BlobDirectory
from stoker_registry.partials import PartialDirectory
from stoker_registry.range_plan import MIN_RANGE_BYTES

OpenBlob = Callable[[Descriptor, int, int], BlobStream]
"""Asks for a range of a blob. Called by several threads at once."""


@attrs.frozen
class WantedBlob:
    """A blob to fetch."""

    descriptor: Descriptor
    item: str
    """The name that people know it by."""


def wanted_blobs(layers: Sequence[Descriptor], names: Sequence[str]) -> Sequence[WantedBlob]:
    """The blobs of layers, each once, however many layers it is.

    Raises:
        InvalidArtifactError: Layers give one blob several sizes.
    """
    wanted: dict[Digest, WantedBlob] = {}
    for layer, name in zip(layers, names, strict=True):
        known = wanted.setdefault(layer.digest, WantedBlob(layer, name))
        if known.descriptor.size_bytes != layer.size_bytes:
            raise InvalidArtifactError(f"The manifest gives blob {layer.digest} several sizes.")
    return tuple(wanted.values())


@attrs.frozen
class Fetching:
    """Where blobs are put, and how they are fetched, whichever they are."""

    partials: PartialDirectory
    blobs: BlobDirectory
    backoff: Backoff
    connections: int
    """How many may be open at a time, for all blobs together."""
    max_bytes_per_s: float | None = None
    min_range_bytes: int = MIN_RANGE_BYTES
    """In whole blocks."""
