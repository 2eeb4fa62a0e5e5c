"""Packaging into the store: files of the user become blobs, and those a model."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath

import attrs

from stoker.artifact import Artifact
from stoker.digest import Digest
from stoker.errors import InvalidInputError
from stoker.manifest import Descriptor
from stoker.meter import Meter
from stoker.reference import Reference
from stoker.store import PackageSource, Progress, ReportProgress, StoredManifest
from stoker.wire.manifest import encode_manifest
from stoker_registry.blobs import CHUNK_BYTES
from stoker_registry.disk import disk_errors
from stoker_registry.layout import ImageLayout
from stoker_registry.leases import Lease
from stoker_registry.local_models import LocalModels
from stoker_registry.names import refuse_digest
from stoker_registry.packaging import PackagePlan, SourceFile, plan_package


@attrs.frozen
class Packager:
    """Makes models of files."""

    layout: ImageLayout
    models: LocalModels

    def package(
        self, reference: Reference, source: PackageSource, report: ReportProgress
    ) -> Artifact:
        """Make a model, under a name. The same files give the same digest.

        Raises:
            InvalidInputError: A file is missing, or the name is pinned to a digest.
            InvalidArtifactError: A file is not what it should be.
            UnavailableError: The disk is full, or not writable.
        """
        refuse_digest(reference)
        plan = plan_package(source)
        with disk_errors(self.layout.directory), self.layout.leases.take() as lease:
            layers = tuple(self._copy(file, plan, lease, report) for file in plan.files)
            return self._commit(reference, plan, layers, lease)

    def make_model(
        self,
        reference: Reference,
        files: Mapping[PurePosixPath, Digest],
        licenses: Sequence[str],
        report: ReportProgress,
    ) -> Artifact:
        """Make a model of blobs that are here, under a name; no bytes of them are copied.

        Raises:
            NotFoundError: A blob is not here.
            InvalidInputError: The files are no model, or the name is pinned to a digest.
            InvalidArtifactError: A file is not what it should be.
            UnavailableError: The disk is full, or not writable.
        """
        refuse_digest(reference)
        inbox = self.layout.inbox
        with disk_errors(self.layout.directory), self.layout.leases.take() as lease:
            lease.protect(files.values())
            with inbox.laid_out(files, licenses) as folder:
                plan = folder.plan()
                layers = []
                for file in plan.files:
                    digest = folder.digest(file.path)
                    if digest is None:
                        layers.append(self._copy(file, plan, lease, report))
                        continue
                    size_bytes = inbox.publish(digest)
                    report(Progress("packaging", file.name, size_bytes, size_bytes, digest))
                    layers.append(plan.layer(file, digest, size_bytes))
            artifact = self._commit(reference, plan, layers, lease)
            inbox.forget(files.values())
            return artifact

    def _commit(
        self, reference: Reference, plan: PackagePlan, layers: Sequence[Descriptor], lease: Lease
    ) -> Artifact:
        """Make the manifest of layers that are here, and give it a name."""
        config = plan.config(layers)
        manifest = plan.manifest(config, layers)
        data = encode_manifest(manifest)
        stored = StoredManifest(manifest.media_type, Digest.of(data), data)
        self.layout.add_blob(config, manifest.config.digest, lease)
        entry = self.layout.commit(reference, stored, lease)
        return self.models.artifact(entry, reference)

    def _copy(
        self, file: SourceFile, plan: PackagePlan, lease: Lease, report: ReportProgress
    ) -> Descriptor:
        """Copy a user's file into the store.

        A copy, never a hard link: the user may change their file, and a blob must not change.
        """
        meter = Meter(report, "packaging", file.name, file.path.stat().st_size)
        meter(0)
        with lease.partial() as partial:
            for chunk in _chunks(file.path):
                partial.write(chunk)
                meter(partial.size_bytes)
            layer = plan.layer(file, partial.digest, partial.size_bytes)
            lease.protect((layer.digest,))
            partial.publish(self.layout.blobs)
        return layer


def _chunks(path: Path) -> Iterator[bytes]:
    try:
        with path.open("rb") as file:
            while chunk := file.read(CHUNK_BYTES):
                yield chunk
    except OSError as exc:
        raise InvalidInputError(f"{path} cannot be read: {exc.strerror or exc}.") from exc
