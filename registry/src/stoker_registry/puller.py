"""Pulling: a model out of a registry, or out of a mirror of it, into the store."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING

import attrs

from stoker.artifact import Artifact
from stoker.digest import Digest
from stoker.errors import InvalidArtifactError
from stoker.manifest import Descriptor
from stoker.meter import Meter
from stoker.reference import Reference
from stoker.store import ReportProgress
from stoker_registry.artifact_files import ArtifactFiles
from stoker_registry.chain import ModelChain
from stoker_registry.disk import disk_errors
from stoker_registry.layout import ImageLayout
from stoker_registry.leases import Lease
from stoker_registry.local_models import NAME
from stoker_registry.mirrors import read_from_any
from stoker_registry.registries import Registries
from stoker_registry.verification import is_manifest, item_of

if TYPE_CHECKING:
    from stoker_registry.client import RepositoryClient
    from stoker_registry.remote_model import RemoteModel

_log = logging.getLogger(__name__)


@attrs.frozen
class Puller:
    """Fetches models, or what is missing of them."""

    layout: ImageLayout
    chain: ModelChain
    registries: Registries

    def resolve(self, reference: Reference) -> Artifact:
        """Look a model up in its registry, without its layers.

        Raises:
            ModelNotFoundError: It is not there.
            InvalidArtifactError: What is there is no artifact, or several at once.
            TransferError: The registry cannot be reached.
            AccessDeniedError: The registry refused.
        """
        from stoker_registry.remote_model import fetch_model  # noqa: PLC0415 - as in Registries

        def look(source: Reference) -> RemoteModel:
            with self.registries.client(source) as client:
                return fetch_model(client, source)

        model = read_from_any(reference, self.registries.options, look)
        return Artifact(reference, model.stored.digest, model.manifest, model.facts, NAME)

    def pull(self, reference: Reference, report: ReportProgress) -> Artifact:
        """Fetch a model.

        Blobs that came whole stay when a later one fails, so another attempt has less to do.

        Raises:
            ModelNotFoundError: The registry has no such model.
            InvalidArtifactError: It is malformed, or could not be laid out as files.
            TransferError: The transfer failed.
            AccessDeniedError: The registry refused.
            UnavailableError: The disk is full, or not writable.
        """
        return read_from_any(
            reference,
            self.registries.options,
            lambda source: self._pull(reference, source, report),
        )

    def _pull(self, reference: Reference, source: Reference, report: ReportProgress) -> Artifact:
        """Fetch a model from one place, and keep it under its own name."""
        from stoker_registry.remote_model import fetch_model  # noqa: PLC0415 - as in Registries

        with (
            disk_errors(self.layout.directory),
            self.registries.client(source, report) as client,
        ):
            model = fetch_model(client, source)
            stored, manifest = model.stored, model.manifest
            if (shared := self._shared(reference, stored.digest)) is not None:
                return shared
            artifact = Artifact(reference, stored.digest, manifest, model.facts, NAME)
            # What could not be opened later is refused before gigabytes of it are fetched.
            items = ArtifactFiles.of(artifact, self.chain.own.formats).items
            with self.layout.leases.take() as lease:
                lease.protect((stored.digest, *(blob.digest for blob in manifest.blobs)))
                self.layout.add_blob(model.config, manifest.config.digest, lease)
                self._fetch(client, manifest.layers, items, lease, report)
                entry = self.layout.commit(reference, stored, lease, source=reference)
                return self.chain.own.artifact(entry, reference)

    def _shared(self, reference: Reference, digest: Digest) -> Artifact | None:
        """The model of a shared store that the name means here and in the registry, if it does."""
        found = self.chain.find(reference)
        if found is None or found[0] is self.chain.own or found[1].digest != digest:
            return None
        models, entry = found
        artifact = models.whole_artifact(entry, reference)
        is_whole = artifact is not None and all(map(models.blobs.has, artifact.manifest.blobs))
        return artifact if is_whole else None

    def _copy_shared(
        self, layer: Descriptor, item: str, lease: Lease, report: ReportProgress
    ) -> None:
        """Copy a blob that a shared store has, checked; a damaged one is left to be fetched."""
        if not self.chain.shared:
            return
        from stoker_registry.layout_models import copy_blob  # noqa: PLC0415 - as in Registries
        from stoker_registry.layout_source import FolderSource  # noqa: PLC0415

        for models in self.chain.shared:
            if not models.blobs.has(layer):
                continue
            meter = Meter(report, "copying", item, layer.size_bytes)
            try:
                with lease.partial(algorithm=layer.digest.algorithm) as partial:
                    copy_blob(FolderSource(models.place), layer, partial, meter)
                    partial.publish(self.layout.blobs)
            except InvalidArtifactError as exc:
                _log.warning("The shared store %s is damaged: %s", models.place, exc)
            else:
                return

    def fetch_blob(
        self, source: Reference, descriptor: Descriptor, lease: Lease, report: ReportProgress
    ) -> None:
        """Fetch one blob of a model again.

        Args:
            source: The model's name, there.
            descriptor: The blob, which the lease protects.
            lease: The lease.
            report: Told of every step.

        Raises:
            StokerError: As for a pull.
        """

        def fetch(place: Reference) -> None:
            with self.registries.client(place, report) as client:
                if is_manifest(descriptor):
                    data = client.fetch_manifest(descriptor.digest).data
                    self.layout.add_blob(data, descriptor.digest, lease)
                else:
                    self._fetch(client, [descriptor], [item_of(descriptor)], lease, report)

        read_from_any(source, self.registries.options, fetch)

    def _fetch(
        self,
        client: RepositoryClient,
        layers: Sequence[Descriptor],
        items: Sequence[str],
        lease: Lease,
        report: ReportProgress,
    ) -> None:
        """Fetch layers that the lease protects, or what is missing of them."""
        for layer, item in zip(layers, items, strict=True):
            if not self.layout.blobs.has(layer):
                self._copy_shared(layer, item, lease, report)
        from stoker_registry.download import Download  # noqa: PLC0415 - as in Registries
        from stoker_registry.fetching import Fetching, wanted_blobs  # noqa: PLC0415

        fetching = Fetching(
            partials=self.layout.partials,
            blobs=self.layout.blobs,
            backoff=self.registries.backoff,
            connections=self.registries.options.connections,
            max_bytes_per_s=self.registries.options.max_bytes_per_s,
        )
        Download(client.open_blob, fetching, report).run(wanted_blobs(layers, items))
