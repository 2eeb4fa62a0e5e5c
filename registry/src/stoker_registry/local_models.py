"""The models that an image layout names, and what can be known and made of them."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path

import attrs

from stoker.artifact import Artifact, BundleFile, ModelBundle, ModelFacts
from stoker.digest import Digest
from stoker.errors import InvalidArtifactError, InvalidInputError
from stoker.formats import FormatTable
from stoker.manifest import ANNOTATION_FILE_PATH, Descriptor
from stoker.reference import Reference
from stoker.store import StoredManifest
from stoker.weights import ModelFile, read_facts
from stoker.wire.manifest import MAX_MANIFEST_BYTES, decode_manifest
from stoker_registry.artifact_files import ArtifactFiles
from stoker_registry.blobs import BlobDirectory
from stoker_registry.bundles import Bundle, BundleDirectory
from stoker_registry.facts_cache import FactsCache
from stoker_registry.model_config import MAX_CONFIG_BYTES, knows_config, read_config
from stoker_registry.names import Entry, NameIndex
from stoker_registry.remembered import Remembered, mark_of

NAME = "oci"
"""Of the store, as users write it."""

_log = logging.getLogger(__name__)


@attrs.frozen
class LocalModels:
    """The models of one layout. All state is in its files."""

    place: Path
    """The layout's folder."""
    names: NameIndex
    blobs: BlobDirectory
    bundles: BundleDirectory
    facts: FactsCache
    formats: FormatTable
    _read: Remembered[Artifact] = attrs.field(factory=Remembered, init=False, eq=False, repr=False)

    def has(self, digest: Digest) -> bool:
        """Whether a manifest has a name here."""
        return any(entry.digest == digest for entry in self.names.entries())

    def manifest(self, entry: Entry) -> StoredManifest:
        """The bytes of a named manifest, checked.

        Raises:
            InvalidArtifactError: The file is gone or damaged.
        """
        data = self.blobs.read(entry.digest, limit_bytes=MAX_MANIFEST_BYTES)
        return StoredManifest(entry.media_type, entry.digest, data)

    def artifact(self, entry: Entry, reference: Reference) -> Artifact:
        """What is known of a named model.

        Raises:
            InvalidArtifactError: Its manifest or config is gone, damaged or malformed.
        """
        mark = mark_of(self.blobs.path(entry.digest))
        known = self._read.find((entry.digest, reference), mark)
        if known is not None:
            return known
        manifest = decode_manifest(self.manifest(entry).data)
        artifact = Artifact(
            reference=reference,
            digest=entry.digest,
            manifest=manifest,
            facts=self._facts_of_config(manifest.config),
            store=NAME,
            created_s=self.blobs.path(entry.digest).stat().st_mtime,
        )
        try:
            facts = self.facts.get(entry.digest, lambda: self._facts_of_files(artifact))
        except InvalidInputError as exc:
            # They may be mended, so this is not remembered.
            _log.info("The files of %s say nothing: %s", reference, exc)
            return artifact
        # The format chooses what layers are, so it stays what the publisher said.
        added = attrs.evolve(facts, format=artifact.facts.format)
        artifact = attrs.evolve(artifact, facts=artifact.facts.or_else(added))
        self._read.keep((entry.digest, reference), mark, artifact)
        return artifact

    def _facts_of_config(self, config: Descriptor) -> ModelFacts:
        if not knows_config(config.media_type):
            return ModelFacts()
        data = self.blobs.read(config.digest, limit_bytes=MAX_CONFIG_BYTES)
        return read_config(config.media_type, data)

    def _facts_of_files(self, artifact: Artifact) -> ModelFacts:
        """What the model's own files say, for configs that say little."""
        return read_facts(
            ModelFile(
                str(path),
                self.blobs.path(layer.descriptor.digest),
                layer.role,
                layer.media_type,
            )
            for path, layer in ArtifactFiles.of(artifact, self.formats).plain.items()
        )

    def whole_artifact(self, entry: Entry, reference: Reference) -> Artifact | None:
        """What is known of a named model; a damaged one is logged, and None."""
        try:
            return self.artifact(entry, reference)
        except InvalidArtifactError as exc:
            _log.warning("%s in %s is damaged: %s", reference, self.place, exc)
            return None

    def open(self, artifact: Artifact) -> ModelBundle:
        """Give a model's files real names.

        Raises:
            InvalidArtifactError: It cannot be laid out (clashing or escaping paths), or a blob is
                missing.
        """
        files = ArtifactFiles.of(artifact, self.formats)
        links = {path: layer.descriptor for path, layer in files.plain.items()}
        bundle = self.bundles.lay_out(artifact.digest, links, files.packed)
        plain = (
            BundleFile(bundle.folder / path, layer.role, layer.media_type)
            for path, layer in files.plain.items()
        )
        return ModelBundle(
            reference=artifact.reference,
            digest=artifact.digest,
            files=(*plain, *self._unpacked(bundle, files, artifact.facts.format)),
            facts=artifact.facts,
        )

    def _unpacked(
        self, bundle: Bundle, files: ArtifactFiles, config_format: str | None
    ) -> Iterator[BundleFile]:
        """The files that came out of packed layers, as if each were a layer itself."""
        for descriptor, packing in files.packed.items():
            for item in bundle.unpacked.get(str(descriptor.digest), ()):
                layer = self.formats.layer(
                    Descriptor(
                        packing.inner,
                        descriptor.digest,
                        item.size_bytes,
                        {ANNOTATION_FILE_PATH: str(item.path)},
                    ),
                    config_format=config_format,
                )
                yield BundleFile(bundle.folder / item.path, layer.role, layer.media_type)
