"""The names of models: the index of the image layout.

`index.json` holds one entry per name. The whole reference is the entry's
`org.opencontainers.image.ref.name`, so that other tools find a model under the name that people
use here: `skopeo inspect --raw oci:DIRECTORY:docker.io/ai/smollm2:latest`.

https://github.com/opencontainers/image-spec/blob/v1.1.0/image-layout.md
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

import attrs

from stoker.digest import Digest
from stoker.errors import InvalidInputError, InvalidReferenceError, ModelNotFoundError
from stoker.media_types import OCI_INDEX, MediaType
from stoker.reference import Reference
from stoker.wire.manifest import WireDescriptor, WireIndex, decode_index, encode_index
from stoker_registry.disk import write_atomically
from stoker_registry.remembered import Remembered, mark_of

ANNOTATION_REF_NAME = "org.opencontainers.image.ref.name"
ANNOTATION_CONTAINERD_NAME = "io.containerd.image.name"
"""Where containerd and docker keep the whole name; the tag alone is in the other one then."""
ANNOTATION_SOURCE = "stoker.source"
"""Of a model that was pulled: under which name, whatever it is called now."""


@attrs.frozen
class Entry:
    """One entry of the index."""

    digest: Digest
    size_bytes: int
    media_type: MediaType
    reference: Reference | None
    """None for an entry of another tool that names no model: it is kept as it is."""
    wire: WireDescriptor

    @classmethod
    def of(
        cls,
        reference: Reference,
        digest: Digest,
        *,
        size_bytes: int,
        media_type: MediaType,
        source: Reference | None = None,
    ) -> Entry:
        """A new entry."""
        annotations = {ANNOTATION_REF_NAME: str(reference)}
        if source is not None:
            annotations[ANNOTATION_SOURCE] = str(source)
        return cls.from_wire(
            WireDescriptor(
                media_type=str(media_type),
                digest=str(digest),
                size=size_bytes,
                annotations=annotations,
            )
        )

    @classmethod
    def from_wire(cls, wire: WireDescriptor) -> Entry:
        """Read an entry.

        Raises:
            InvalidArtifactError: Its digest or media type follows no grammar.
        """
        descriptor = wire.to_domain()
        reference = _reference(name_in(descriptor.annotations))
        return cls(descriptor.digest, descriptor.size_bytes, descriptor.media_type, reference, wire)

    @property
    def source(self) -> Reference | None:
        """Under which name it was pulled; None when it was made here or nobody wrote it down."""
        return _reference((self.wire.annotations or {}).get(ANNOTATION_SOURCE, ""))

    def renamed(self, reference: Reference) -> Entry:
        """The same model under another name."""
        return Entry.of(
            reference,
            self.digest,
            size_bytes=self.size_bytes,
            media_type=self.media_type,
            source=self.source,
        )


def name_in(annotations: Mapping[str, str]) -> str:
    """The name that an entry's annotations give; empty when they give none, or a tag alone."""
    for key in (ANNOTATION_REF_NAME, ANNOTATION_CONTAINERD_NAME):
        text = annotations.get(key, "")
        # `v1` alone, as some tools write it, names a tag and no model.
        if "/" in text:
            return text
    return ""


def _reference(text: str) -> Reference | None:
    try:
        return Reference.parse(text)
    except InvalidInputError:
        return None


@attrs.frozen
class NameIndex:
    """The file `index.json`. Reading needs no lock: the file is only ever replaced as a whole."""

    path: Path
    _read: Remembered[tuple[Entry, ...]] = attrs.field(
        factory=Remembered, init=False, eq=False, repr=False
    )

    def entries(self) -> tuple[Entry, ...]:
        """All entries, as they stand in the file.

        Raises:
            InvalidArtifactError: The file is malformed.
        """
        mark = mark_of(self.path)
        entries = self._read.find(None, mark)
        if entries is None:
            index = decode_index(self.path.read_bytes())
            entries = tuple(Entry.from_wire(wire) for wire in index.manifests or ())
            self._read.keep(None, mark, entries)
        return entries

    def write(self, entries: Iterable[Entry]) -> None:
        """Replace all entries. Call it under the lock."""
        index = WireIndex(
            schema_version=2,
            media_type=str(OCI_INDEX),
            manifests=tuple(entry.wire for entry in entries),
        )
        write_atomically(self.path, encode_index(index))


def index_name(reference: Reference) -> Reference:
    """The name under which a pull is kept: a pinned one leaves the tag alone, as in docker."""
    if reference.digest is None:
        return reference
    return Reference(reference.registry, reference.repository, digest=reference.digest)


def matching(entries: Iterable[Entry], reference: Reference) -> tuple[Entry, ...]:
    """The entry of a name, or all entries of a digest in a repository."""
    name = index_name(reference)
    entries = tuple(entries)
    exact = tuple(entry for entry in entries if entry.reference == name)
    if exact or name.digest is None:
        return exact
    return tuple(
        entry
        for entry in entries
        if entry.digest == name.digest
        and entry.reference is not None
        and entry.reference.registry == name.registry
        and entry.reference.repository == name.repository
    )


def refuse_digest(reference: Reference) -> None:
    """See that a name is one to be given.

    Raises:
        InvalidReferenceError: It is pinned to a digest, which nobody can choose.
    """
    if reference.digest is not None:
        raise InvalidReferenceError(
            f"{reference.familiar} names a digest, which cannot be chosen: give a tag instead."
        )


def not_here(reference: Reference) -> ModelNotFoundError:
    """The error for a name that nothing here has."""
    name = reference.familiar
    return ModelNotFoundError(
        f"There is no model {name!r} here: `stoker pull {name}` fetches it.", model=name
    )
