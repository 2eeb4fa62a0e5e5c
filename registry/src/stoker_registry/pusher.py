"""Pushing: a model of the store into the registry in its name."""

from __future__ import annotations

import attrs

from stoker.digest import Digest
from stoker.errors import InvalidArtifactError
from stoker.reference import Reference
from stoker.store import ReportProgress
from stoker.wire.manifest import decode_manifest
from stoker_registry.chain import ModelChain
from stoker_registry.disk import disk_errors
from stoker_registry.layout import ImageLayout
from stoker_registry.registries import Registries


@attrs.frozen
class Pusher:
    """Sends models."""

    layout: ImageLayout
    chain: ModelChain
    registries: Registries

    def push(self, reference: Reference, report: ReportProgress) -> Digest:
        """Send a model, blobs first.

        Raises:
            ModelNotFoundError: It is not here.
            InvalidArtifactError: It is, but not whole.
            TransferError: The transfer failed.
            AccessDeniedError: The registry refused.
        """
        from stoker_registry.upload import BlobToSend, Upload  # noqa: PLC0415 - as in Registries

        with disk_errors(self.layout.directory):
            models, entry = self.chain.get(reference)
            stored = models.manifest(entry)
            blobs = decode_manifest(stored.data).blobs
            for descriptor in blobs:
                if not models.blobs.has(descriptor):
                    raise InvalidArtifactError(
                        f"The store has lost blob {descriptor.digest} of {reference.familiar}:"
                        " pull the model again."
                    )
            neighbours = self._neighbours(reference)
            with self.registries.client(reference, report) as client:
                Upload(
                    client,
                    backoff=self.registries.backoff,
                    connections=self.registries.options.connections,
                    max_bytes_per_s=self.registries.options.max_bytes_per_s,
                    report=report,
                ).run(
                    tuple(
                        BlobToSend(
                            descriptor=descriptor,
                            path=models.blobs.path(descriptor.digest),
                            item=descriptor.file_path or descriptor.digest.short,
                            mount_from=neighbours.get(descriptor.digest),
                        )
                        for descriptor in blobs
                    )
                )
                client.upload_manifest(stored, reference.tag or stored.digest)
        return stored.digest

    def _neighbours(self, reference: Reference) -> dict[Digest, str]:
        """Other repositories of the same registry that may have a blob already."""
        found: dict[Digest, str] = {}
        for artifact in self.chain.artifacts():
            other = artifact.reference
            if other.registry == reference.registry and other.repository != reference.repository:
                digests = (blob.digest for blob in artifact.manifest.blobs)
                found.update(dict.fromkeys(digests, other.repository))
        return found
