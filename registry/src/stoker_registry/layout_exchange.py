"""Exchange: models leave the store as image layouts, and arrive as such."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import attrs

from stoker.artifact import Artifact
from stoker.digest import Digest
from stoker.errors import IntegrityError
from stoker.exchange import LayoutExchange
from stoker.manifest import Descriptor, Manifest
from stoker.meter import Meter
from stoker.reference import Reference
from stoker.store import ReportProgress
from stoker.wire.manifest import decode_manifest
from stoker_registry.artifact_files import ArtifactFiles
from stoker_registry.chain import ModelChain
from stoker_registry.disk import disk_errors
from stoker_registry.layout import ImageLayout
from stoker_registry.layout_models import LayoutModel, copy_blob, read_models, write_layout
from stoker_registry.layout_source import LayoutSource, open_source
from stoker_registry.layout_target import open_target
from stoker_registry.leases import Lease
from stoker_registry.local_models import NAME, LocalModels
from stoker_registry.names import Entry, index_name, refuse_digest


@attrs.frozen
class OciExchange(LayoutExchange):
    """The exchange of one store."""

    layout: ImageLayout
    chain: ModelChain

    def export_layout(
        self, references: Sequence[Reference], target: Path, progress: ReportProgress
    ) -> None:
        """Write models that are here into a layout.

        Raises:
            ModelNotFoundError: One is not here.
            ConflictError: The target is there already.
            IntegrityError: A model is damaged.
            UnavailableError: The disk is full, or not writable.
        """
        with disk_errors(self.layout.directory), self.layout.leases.take() as lease:
            entries = []
            blobs: dict[Digest, tuple[Descriptor, Path]] = {}
            for reference in references:
                models, entry = self.chain.get(reference)
                # As others shall see it: without what concerns this store alone.
                shown = Entry.of(
                    reference,
                    entry.digest,
                    size_bytes=entry.size_bytes,
                    media_type=entry.media_type,
                )
                entries.append(shown)
                descriptor = shown.wire.to_domain()
                lease.protect((descriptor.digest,))
                manifest = decode_manifest(models.manifest(entry).data)
                for item in (descriptor, *manifest.blobs):
                    blobs[item.digest] = item, models.blobs.path(item.digest)
                lease.protect(item.digest for item in manifest.blobs)
                _check_whole(models, manifest)
            with open_target(target) as layout:
                write_layout(layout, entries, blobs.values(), progress)

    def import_layout(
        self, source: Path, progress: ReportProgress, *, name: Reference | None = None
    ) -> Sequence[Artifact]:
        """Take the models of a layout, under the names that they have in it.

        Raises:
            InvalidInputError: There is no such file, or a name is missing.
            InvalidArtifactError: It is no layout, is malformed or hostile.
            IntegrityError: A blob is not what its digest says; nothing of it is kept.
            UnavailableError: The disk is full, or not writable.
        """
        if name is not None:
            refuse_digest(name)
        with (
            open_source(source) as files,
            disk_errors(self.layout.directory),
            self.layout.leases.take() as lease,
        ):
            arrivals = [
                # What could not be opened later is refused before anything is copied.
                (model, self._items(model))
                for model in read_models(files, source=str(source), name=name)
            ]
            for model, items in arrivals:
                self._take(files, model, items, lease, progress)
            entries = [
                self.layout.commit(model.reference, model.stored, lease) for model, _ in arrivals
            ]
            return [
                self.chain.own.artifact(entry, index_name(model.reference))
                for entry, (model, _) in zip(entries, arrivals, strict=True)
            ]

    def _items(self, model: LayoutModel) -> tuple[str, ...]:
        artifact = Artifact(model.reference, model.stored.digest, model.manifest, model.facts, NAME)
        return ArtifactFiles.of(artifact, self.chain.own.formats).items

    def _take(
        self,
        files: LayoutSource,
        model: LayoutModel,
        items: Sequence[str],
        lease: Lease,
        report: ReportProgress,
    ) -> None:
        """Copy the blobs of a model, but those that are here."""
        manifest = model.manifest
        lease.protect((model.stored.digest, *(blob.digest for blob in manifest.blobs)))
        self.layout.add_blob(model.config, manifest.config.digest, lease)
        for layer, item in zip(manifest.layers, items, strict=True):
            if self.layout.blobs.has(layer):
                continue
            with lease.partial(algorithm=layer.digest.algorithm) as partial:
                copy_blob(files, layer, partial, Meter(report, "importing", item, layer.size_bytes))
                partial.publish(self.layout.blobs)


def _check_whole(models: LocalModels, manifest: Manifest) -> None:
    for item in manifest.blobs:
        if not models.blobs.has(item):
            raise IntegrityError(
                f"The store has lost blob {item.digest}: `stoker verify --repair` fetches it again."
            )
