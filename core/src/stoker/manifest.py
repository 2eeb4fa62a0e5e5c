"""Descriptors and manifests of the OCI image spec, as the domain sees them.

The JSON form is in `stoker.wire.manifest`. Source of the fields:
https://github.com/opencontainers/image-spec/blob/v1.1.0/manifest.md
"""

from __future__ import annotations

from collections.abc import Mapping

import attrs

from stoker.digest import Digest
from stoker.media_types import OCI_MANIFEST, MediaType

# https://github.com/modelpack/model-spec/blob/v0.0.7/docs/annotations.md
ANNOTATION_FILE_PATH = "org.cncf.model.filepath"
ANNOTATION_FILE_PATH_OLD = "org.cnai.model.filepath"
ANNOTATION_TITLE = "org.opencontainers.image.title"


@attrs.frozen
class Descriptor:
    """What a manifest says of one blob: its type, its digest and its size."""

    media_type: MediaType
    digest: Digest
    size_bytes: int = attrs.field(validator=attrs.validators.ge(0))
    annotations: Mapping[str, str] = attrs.field(factory=dict, hash=False)

    @property
    def file_path(self) -> str | None:
        """The file's relative path that an annotation gives, unchecked; None without one.

        The path comes from whoever built the artifact: check it before it touches a disk.
        """
        for key in (ANNOTATION_FILE_PATH, ANNOTATION_FILE_PATH_OLD, ANNOTATION_TITLE):
            if key in self.annotations:
                return self.annotations[key]
        return None


@attrs.frozen
class Manifest:
    """One artifact: a config and its layers, in order (of shards, for weights)."""

    config: Descriptor
    layers: tuple[Descriptor, ...]
    media_type: MediaType = OCI_MANIFEST
    artifact_type: str | None = None
    annotations: Mapping[str, str] = attrs.field(factory=dict, hash=False)

    @property
    def blobs(self) -> tuple[Descriptor, ...]:
        """The config and all layers; a blob that stands twice is there once."""
        return tuple({item.digest: item for item in (self.config, *self.layers)}.values())

    @property
    def size_bytes(self) -> int:
        """Size of all blobs."""
        return sum(item.size_bytes for item in self.blobs)
