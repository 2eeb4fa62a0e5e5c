"""The JSON of OCI descriptors, manifests and indexes.

Unknown fields are tolerated, as the image spec asks; what a manifest must have is checked. The
bytes as they came are a manifest's identity, so a store keeps those and never encodes again.

https://github.com/opencontainers/image-spec/blob/v1.1.0/manifest.md
https://github.com/opencontainers/image-spec/blob/v1.1.0/image-index.md
"""

from __future__ import annotations

from typing import Annotated, Literal, Self, TypeVar

import msgspec

from stoker.digest import Digest
from stoker.errors import InvalidArtifactError, InvalidDigestError
from stoker.manifest import Descriptor, Manifest
from stoker.media_types import DOCKER_MANIFEST, OCI_INDEX, OCI_MANIFEST, MediaType
from stoker.wire.malformed import MALFORMED

MAX_MANIFEST_BYTES = 4 * 1024 * 1024
"""What registries must take at least, and what most of them take at most.

https://github.com/opencontainers/distribution-spec/blob/v1.1.0/spec.md#pushing-manifests
"""

DOCKER_MANIFEST_LIST = MediaType("application/vnd.docker.distribution.manifest.list.v2+json")
MANIFEST_TYPES = (OCI_MANIFEST, DOCKER_MANIFEST)
INDEX_TYPES = (OCI_INDEX, DOCKER_MANIFEST_LIST)

_T = TypeVar("_T")
_Size = Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]


class WireDescriptor(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True):
    """A descriptor as JSON."""

    media_type: str
    digest: str
    size: _Size
    annotations: dict[str, str] | None = None
    artifact_type: str | None = None

    def to_domain(self) -> Descriptor:
        """Check the media type and the digest.

        Raises:
            InvalidArtifactError: One of them follows no grammar.
        """
        try:
            digest = Digest.parse(self.digest)
        except InvalidDigestError as exc:
            raise InvalidArtifactError(f"A descriptor's digest is malformed: {exc}") from exc
        return Descriptor(
            media_type=MediaType(self.media_type),
            digest=digest,
            size_bytes=self.size,
            annotations=self.annotations or {},
        )

    @classmethod
    def from_domain(cls, descriptor: Descriptor) -> Self:
        """The JSON form of a descriptor."""
        return cls(
            media_type=str(descriptor.media_type),
            digest=str(descriptor.digest),
            size=descriptor.size_bytes,
            annotations=dict(descriptor.annotations) or None,
        )


class WireManifest(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True):
    """An image manifest as JSON."""

    schema_version: Literal[2]
    config: WireDescriptor
    layers: tuple[WireDescriptor, ...] | None = None
    media_type: str | None = None
    artifact_type: str | None = None
    annotations: dict[str, str] | None = None

    def to_domain(self) -> Manifest:
        """Check every descriptor.

        Raises:
            InvalidArtifactError: A digest or a media type follows no grammar.
        """
        return Manifest(
            config=self.config.to_domain(),
            layers=tuple(layer.to_domain() for layer in self.layers or ()),
            media_type=MediaType(self.media_type or OCI_MANIFEST),
            artifact_type=self.artifact_type,
            annotations=self.annotations or {},
        )

    @classmethod
    def from_domain(cls, manifest: Manifest) -> Self:
        """The JSON form of a manifest."""
        return cls(
            schema_version=2,
            config=WireDescriptor.from_domain(manifest.config),
            layers=tuple(WireDescriptor.from_domain(layer) for layer in manifest.layers),
            media_type=str(manifest.media_type),
            artifact_type=manifest.artifact_type,
            annotations=dict(manifest.annotations) or None,
        )


class WireIndex(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True):
    """An image index as JSON; also the `index.json` of an image layout."""

    schema_version: Literal[2]
    manifests: tuple[WireDescriptor, ...] | None = None
    media_type: str | None = None
    annotations: dict[str, str] | None = None


class _Shape(msgspec.Struct, rename="camel"):
    """Which of the two documents this is."""

    media_type: str | None = None
    manifests: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    config: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    layers: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET


_shape_decoder = msgspec.json.Decoder(_Shape)
_manifest_decoder = msgspec.json.Decoder(WireManifest)
_index_decoder = msgspec.json.Decoder(WireIndex)


def media_type_of(data: bytes, *, declared: str | None = None) -> MediaType:
    """Tell a manifest from an index.

    Args:
        data: The document's bytes.
        declared: What the sender called it; counts only when the document does not say itself.

    Raises:
        InvalidArtifactError: It is no JSON, is both, or names a type that is neither.
    """
    shape = _decode(_shape_decoder, data, "manifest")
    is_index = shape.manifests is not msgspec.UNSET
    # A document that is both could be read as one thing here and as another elsewhere:
    # https://github.com/opencontainers/distribution-spec/security/advisories/GHSA-mc8v-mgrf-8f4m
    if is_index and (shape.config is not msgspec.UNSET or shape.layers is not msgspec.UNSET):
        raise InvalidArtifactError("The manifest is an image manifest and an index at once.")
    allowed = INDEX_TYPES if is_index else MANIFEST_TYPES
    if shape.media_type:
        if shape.media_type not in allowed:
            raise InvalidArtifactError(
                f"{shape.media_type[:80]!r} is not a kind of manifest that stoker reads"
                f" ({', '.join(allowed)})."
            )
        return MediaType(shape.media_type)
    return MediaType(declared) if declared in allowed else allowed[0]


def decode_manifest(data: bytes) -> Manifest:
    """Read an image manifest.

    Raises:
        InvalidArtifactError: It is too large, no JSON, an index, or lacks what it must have.
    """
    media_type = media_type_of(data)
    if media_type in INDEX_TYPES:
        raise InvalidArtifactError("This is an index of several manifests, not a manifest.")
    wire: WireManifest = _decode(_manifest_decoder, data, "manifest")
    return wire.to_domain()


def encode_manifest(manifest: Manifest) -> bytes:
    """Write an image manifest: the same manifest always gives the same bytes."""
    return msgspec.json.encode(WireManifest.from_domain(manifest), order="sorted")


def decode_index(data: bytes) -> WireIndex:
    """Read an image index.

    Raises:
        InvalidArtifactError: It is too large, no JSON, or lacks what it must have.
    """
    wire: WireIndex = _decode(_index_decoder, data, "index")
    return wire


def encode_index(index: WireIndex) -> bytes:
    """Write an image index."""
    return msgspec.json.encode(index, order="sorted")


def _decode(decoder: msgspec.json.Decoder[_T], data: bytes, what: str) -> _T:
    if len(data) > MAX_MANIFEST_BYTES:
        raise InvalidArtifactError(
            f"The {what} is larger than {MAX_MANIFEST_BYTES} bytes; registries allow no more."
        )
    try:
        return decoder.decode(data)
    except MALFORMED as exc:
        raise InvalidArtifactError(f"The {what} is malformed: {exc}") from exc
