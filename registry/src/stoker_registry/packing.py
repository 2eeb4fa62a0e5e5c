"""Packed layers: how media types say that a layer holds files instead of being one."""

from __future__ import annotations

from pathlib import PurePosixPath

import attrs

from stoker.media_types import MediaType
from stoker_registry.formats import DOCKER_FILE

_SUFFIXES = {".tar": "", ".tar+gzip": "gzip", ".tar+zstd": "zstd"}
_DOCKER_TARS = {
    "application/vnd.docker.ai.vllm.config.tar",
    "application/vnd.docker.ai.dir.tar",
}
_KEPT_PACKED = (".code.v1", ".dataset.v1")
"""Nothing here looks into these, so nothing takes them apart."""


@attrs.frozen
class Packing:
    """How a layer is packed."""

    inner: MediaType
    """The media type that its files would have as layers of their own."""
    compression: str
    """`gzip`, `zstd` or nothing."""


@attrs.frozen
class UnpackedFile:
    """A file that was in a layer."""

    path: PurePosixPath
    size_bytes: int


def packing_of(media_type: MediaType) -> Packing | None:
    """How layers of a media type are packed; None for those that are files themselves."""
    if media_type in _DOCKER_TARS:
        return Packing(DOCKER_FILE, "")
    for suffix, compression in _SUFFIXES.items():
        kind = media_type.removesuffix(suffix)
        if kind != media_type and kind.endswith(".v1") and not kind.endswith(_KEPT_PACKED):
            return Packing(MediaType(f"{kind}.raw"), compression)
    return None
