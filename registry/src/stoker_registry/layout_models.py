"""The models of an image layout from elsewhere, checked; and a layout of our own models."""

from __future__ import annotations

import hashlib
import io
import shutil
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import IO

import attrs
import msgspec

from stoker.artifact import ModelFacts
from stoker.digest import Digest
from stoker.errors import (
    IntegrityError,
    InvalidArtifactError,
    InvalidInputError,
    UnavailableError,
)
from stoker.manifest import Descriptor, Manifest
from stoker.media_types import OCI_INDEX
from stoker.meter import Meter
from stoker.reference import Reference
from stoker.store import ReportProgress, StoredManifest
from stoker.wire.malformed import MALFORMED
from stoker.wire.manifest import (
    INDEX_TYPES,
    MAX_MANIFEST_BYTES,
    WireIndex,
    decode_index,
    decode_manifest,
    encode_index,
    media_type_of,
)
from stoker_registry.blobs import CHUNK_BYTES, PartialBlob
from stoker_registry.layout import LAYOUT_MARK
from stoker_registry.layout_source import LayoutSource
from stoker_registry.layout_target import CheckedBlob, LayoutTarget
from stoker_registry.model_config import MAX_CONFIG_BYTES, read_config
from stoker_registry.names import Entry, name_in

_MARK, _INDEX = "oci-layout", "index.json"
_MAX_MARK_BYTES = 4096


class _Mark(msgspec.Struct, frozen=True, rename="camel"):
    image_layout_version: str


@attrs.frozen
class LayoutModel:
    """A model in a layout: all of it but its layers."""

    reference: Reference
    stored: StoredManifest
    manifest: Manifest
    config: bytes
    facts: ModelFacts


def read_models(
    files: LayoutSource, *, source: str, name: Reference | None
) -> Sequence[LayoutModel]:
    """Read what a layout holds.

    Args:
        files: The layout.
        source: What errors call it.
        name: The name of the only model, instead of its own.

    Raises:
        InvalidInputError: A model has no name that means one everywhere, or there are several for
            the one name.
        InvalidArtifactError: The layout or a model is malformed.
        IntegrityError: A manifest or a config is not what its digest says.
    """
    check_mark(files, source)
    index = decode_index(_read(files, _INDEX, MAX_MANIFEST_BYTES))
    descriptors = [wire.to_domain() for wire in index.manifests or ()]
    if not descriptors:
        raise InvalidArtifactError(f"{source} holds no models.")
    if name is not None and len(descriptors) != 1:
        raise InvalidInputError(
            f"{source} holds {len(descriptors)} models, and one name does not do for all."
        )
    return [
        _read_model(files, descriptor, name or _name_of(descriptor, source))
        for descriptor in descriptors
    ]


def copy_blob(
    files: LayoutSource, descriptor: Descriptor, partial: PartialBlob, meter: Meter
) -> None:
    """Copy a blob, checked, into the store's own file.

    Raises:
        InvalidArtifactError: It is not in the layout.
        IntegrityError: It is not what its descriptor says.
        UnavailableError: The disk has no room.
    """
    free_bytes = shutil.disk_usage(partial.path.parent).free
    if descriptor.size_bytes > free_bytes:
        raise UnavailableError(
            f"Blob {descriptor.digest} has {descriptor.size_bytes} bytes, and the store's disk has"
            f" room for {free_bytes}."
        )
    meter(0)
    with files.open(_blob_name(descriptor.digest)) as file:
        # One byte more than it should have is enough to know.
        while partial.size_bytes <= descriptor.size_bytes and (chunk := file.read(CHUNK_BYTES)):
            partial.write(chunk)
            meter(min(partial.size_bytes, descriptor.size_bytes))
    partial.check(descriptor)


def write_layout(
    target: LayoutTarget,
    entries: Iterable[Entry],
    blobs: Iterable[tuple[Descriptor, Path]],
    report: ReportProgress,
) -> None:
    """Write a layout of models.

    Args:
        target: Takes it.
        entries: The models' names.
        blobs: Their blobs, each once, and where they are.
        report: Told of every step.

    Raises:
        IntegrityError: A blob is damaged.
    """
    index = WireIndex(
        schema_version=2,
        media_type=str(OCI_INDEX),
        manifests=tuple(entry.wire for entry in entries),
    )
    for name, data in ((_MARK, LAYOUT_MARK), (_INDEX, encode_index(index))):
        target.add(name, io.BytesIO(data), len(data))
    for descriptor, path in blobs:
        with path.open("rb") as file:
            blob = CheckedBlob(file, descriptor, report)
            target.add(_blob_name(descriptor.digest), blob, descriptor.size_bytes)
            blob.check()


def check_mark(files: LayoutSource, source: str) -> None:
    """See that something is an image layout.

    Raises:
        InvalidArtifactError: It is none, or of a version that nobody knows.
    """
    try:
        mark = msgspec.json.decode(_read(files, _MARK, _MAX_MARK_BYTES), type=_Mark)
    except MALFORMED as exc:
        raise InvalidArtifactError(f"{source} is no image layout: {exc}.") from exc
    if not mark.image_layout_version.startswith("1."):
        raise InvalidArtifactError(
            f"{source} is an image layout of version {mark.image_layout_version[:20]!r}, which"
            " stoker does not know."
        )


def _read_model(files: LayoutSource, descriptor: Descriptor, reference: Reference) -> LayoutModel:
    if reference.digest not in {None, descriptor.digest}:
        raise InvalidArtifactError(
            f"A model calls itself {reference.familiar}, but is {descriptor.digest}."
        )
    data = _read_blob(files, descriptor, MAX_MANIFEST_BYTES)
    media_type = media_type_of(data, declared=str(descriptor.media_type))
    if media_type in INDEX_TYPES:
        raise InvalidArtifactError(
            f"{reference.familiar} is an index of several manifests, and stoker does not choose."
        )
    manifest = decode_manifest(data)
    config = _read_blob(files, manifest.config, MAX_CONFIG_BYTES)
    return LayoutModel(
        reference,
        StoredManifest(media_type, descriptor.digest, data),
        manifest,
        config,
        read_config(manifest.config.media_type, config),
    )


def _name_of(descriptor: Descriptor, source: str) -> Reference:
    text = name_in(descriptor.annotations)
    if text:
        return Reference.parse(text)
    raise InvalidInputError(
        f"A model in {source} has no name, or only a tag: import it `--as NAME`."
    )


def _read_blob(files: LayoutSource, descriptor: Descriptor, limit_bytes: int) -> bytes:
    data = _read(files, _blob_name(descriptor.digest), limit_bytes)
    is_right = len(data) == descriptor.size_bytes
    if not is_right or (
        hashlib.new(descriptor.digest.algorithm, data).hexdigest() != descriptor.digest.encoded
    ):
        raise IntegrityError(f"Blob {descriptor.digest} of the layout has other bytes.")
    return data


def _read(files: LayoutSource, name: str, limit_bytes: int) -> bytes:
    with files.open(name) as file:
        data = b"".join(_chunks(file, limit_bytes + 1))
    if len(data) > limit_bytes:
        raise InvalidArtifactError(f"{name} of the layout is larger than {limit_bytes} bytes.")
    return data


def _chunks(file: IO[bytes], limit_bytes: int) -> Iterator[bytes]:
    while limit_bytes > 0 and (chunk := file.read(min(CHUNK_BYTES, limit_bytes))):
        limit_bytes -= len(chunk)
        yield chunk


def _blob_name(digest: Digest) -> str:
    return f"blobs/{digest.algorithm}/{digest.encoded}"
