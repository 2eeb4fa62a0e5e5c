"""The store `oci`: models from any container registry, kept as an OCI image layout."""

from __future__ import annotations

import contextlib
import functools
import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, cast

import attrs

from stoker.artifact import Artifact, BundleFile, Layer, ModelBundle, ModelFacts
from stoker.blob_keeper import BlobKeeper
from stoker.digest import Digest
from stoker.errors import (
    AccessDeniedError,
    ConflictError,
    IntegrityError,
    InUseError,
    InvalidArtifactError,
    InvalidInputError,
    InvalidReferenceError,
    ModelNotFoundError,
    NotFoundError,
    TransferError,
)
from stoker.exchange import LayoutExchange
from stoker.logins import Login, LoginKeeper
from stoker.manifest import ANNOTATION_FILE_PATH, Descriptor, Manifest
from stoker.media_types import DOCKER_MANIFEST, OCI_MANIFEST
from stoker.reference import DEFAULT_REGISTRY, Reference
from stoker.store import (
    ContentSource,
    PackageSource,
    Progress,
    Removal,
    ReportProgress,
    StoreContext,
    StoredManifest,
    WritableStore,
)
from stoker.upkeep import Damage, Pruning, Upkeep, Verification
from stoker.weights import ModelFile, read_facts
from stoker.wire.manifest import decode_manifest, encode_manifest
from stoker_registry.backoff import Backoff
from stoker_registry.blobs import CHUNK_BYTES, PartialBlob
from stoker_registry.credentials import CredentialSource, erase_credentials, store_credentials
from stoker_registry.disk import disk_errors
from stoker_registry.layer_paths import layer_paths
from stoker_registry.layout import ImageLayout
from stoker_registry.layout_models import copy_blob, read_models, write_layout
from stoker_registry.layout_source import open_source
from stoker_registry.layout_target import open_target
from stoker_registry.leases import Lease
from stoker_registry.login import Credentials
from stoker_registry.meter import Meter
from stoker_registry.mirrors import read_from_any
from stoker_registry.model_config import MAX_CONFIG_BYTES, knows_config, read_config
from stoker_registry.names import Entry
from stoker_registry.options import OciOptions
from stoker_registry.packaging import PackagePlan, SourceFile, plan_package
from stoker_registry.unpacking import Packing, packing_of
from stoker_registry.verification import Verifier, is_manifest, item_of, sources_of

if TYPE_CHECKING:
    from stoker_registry.client import RepositoryClient

NAME = "oci"

_log = logging.getLogger(__name__)

_SERVED_TYPES = frozenset({OCI_MANIFEST, DOCKER_MANIFEST})


class OciStore(WritableStore, ContentSource, LoginKeeper, Upkeep, LayoutExchange, BlobKeeper):
    """Models in an image layout, and the way to and from registries.

    Holds no state of its own but what is in the folder, so any thread may call anything.
    """

    def __init__(self, context: StoreContext, *, backoff: Backoff | None = None) -> None:
        """Open the store's folder; it is made where it is missing.

        Raises:
            UnavailableError: The folder cannot be used.
        """
        self._directory = context.directory.absolute()
        self._options = cast("OciOptions", context.options)
        self._formats = context.formats
        self._backoff = backoff or Backoff()
        with disk_errors(self._directory):
            self._layout = ImageLayout.open(self._directory)

    def resolve(self, reference: Reference) -> Artifact:
        """Look a model up among what is here. Nothing is fetched.

        Raises:
            ModelNotFoundError: It is not here.
            InvalidArtifactError: It is, but damaged.
        """
        with disk_errors(self._directory):
            return self._artifact(self._entry(reference), reference)

    def resolve_remote(self, reference: Reference) -> Artifact:
        """Look a model up in its registry, without its layers.

        Raises:
            ModelNotFoundError: It is not there.
            InvalidArtifactError: What is there is no artifact, or several at once.
            TransferError: The registry cannot be reached.
            AccessDeniedError: The registry refused.
        """
        from stoker_registry.remote_model import RemoteModel, fetch_model  # noqa: PLC0415

        def look(source: Reference) -> RemoteModel:
            with self._client(source, _no_progress) as client:
                return fetch_model(client, source)

        model = read_from_any(reference, self._options, look)
        return Artifact(reference, model.stored.digest, model.manifest, model.facts, NAME)

    def pull(self, reference: Reference, progress: ReportProgress) -> Artifact:
        """Fetch a model, or what is missing of it.

        Blobs that came whole stay when a later one fails, so another attempt has less to do.

        Raises:
            ModelNotFoundError: The registry has no such model.
            InvalidArtifactError: It is malformed, or could not be laid out as files.
            TransferError: The transfer failed.
            AccessDeniedError: The registry refused.
            UnavailableError: The disk is full, or not writable.
        """
        return read_from_any(
            reference, self._options, lambda source: self._pull(reference, source, progress)
        )

    def _pull(self, reference: Reference, source: Reference, progress: ReportProgress) -> Artifact:
        """Fetch a model from one place, and keep it under its own name."""
        from stoker_registry.remote_model import fetch_model  # noqa: PLC0415 - as in _client

        with disk_errors(self._directory), self._client(source, progress) as client:
            model = fetch_model(client, source)
            stored, manifest = model.stored, model.manifest
            artifact = Artifact(reference, stored.digest, manifest, model.facts, NAME)
            # What could not be opened later is refused before gigabytes of it are fetched.
            names = self._item_names(artifact)
            with self._layout.leases.take() as lease:
                lease.protect((stored.digest, *_digests(manifest)))
                self._layout.add_blob(model.config, manifest.config.digest, lease)
                self._fetch_blobs(client, manifest.layers, names, progress)
                return self._commit(reference, stored, lease, source=reference)

    def _item_names(self, artifact: Artifact) -> Sequence[str]:
        """What people call the layers.

        Raises:
            InvalidArtifactError: They could not be laid out as files.
        """
        layers = self._formats.layers(artifact)
        paths = iter(layer_paths([layer for layer in layers if _packing(layer) is None]))
        return [
            layer.descriptor.digest.short if _packing(layer) else str(next(paths))
            for layer in layers
        ]

    def list(self) -> Sequence[Artifact]:
        """All models that are here, sorted by reference; damaged ones are logged and left out."""
        artifacts = []
        with disk_errors(self._directory):
            for entry in self._layout.names.entries():
                if entry.reference is None:
                    continue
                try:
                    artifacts.append(self._artifact(entry, entry.reference))
                except InvalidArtifactError as exc:
                    _log.warning("%s is damaged: %s", entry.reference, exc)
        return sorted(artifacts, key=lambda artifact: str(artifact.reference))

    def open(self, artifact: Artifact) -> ModelBundle:
        """Give a model's files real names.

        Raises:
            ModelNotFoundError: It is not here (any more).
            InvalidArtifactError: It cannot be laid out (clashing or escaping paths).
        """
        layers = self._formats.layers(artifact)
        packed = {
            layer.descriptor: packing
            for layer in layers
            if (packing := _packing(layer)) is not None
        }
        plain = [layer for layer in layers if layer.descriptor not in packed]
        paths = layer_paths(plain)
        with disk_errors(self._directory):
            if all(entry.digest != artifact.digest for entry in self._layout.names.entries()):
                raise _not_here(artifact.reference)
            links: dict[PurePosixPath, Descriptor] = {
                path: layer.descriptor for path, layer in zip(paths, plain, strict=True)
            }
            bundle = self._layout.bundles.lay_out(artifact.digest, links, packed)
        files = [
            BundleFile(bundle.folder / path, layer.role, layer.media_type)
            for path, layer in zip(paths, plain, strict=True)
        ]
        for descriptor, packing in packed.items():
            for item in bundle.unpacked.get(str(descriptor.digest), ()):
                layer = self._formats.layer(
                    Descriptor(
                        packing.inner,
                        descriptor.digest,
                        item.size_bytes,
                        {ANNOTATION_FILE_PATH: str(item.path)},
                    ),
                    config_format=artifact.facts.format,
                )
                files.append(BundleFile(bundle.folder / item.path, layer.role, layer.media_type))
        return ModelBundle(
            reference=artifact.reference,
            digest=artifact.digest,
            files=tuple(files),
            facts=artifact.facts,
        )

    def remove(self, reference: Reference) -> Removal:
        """Remove a name, and what no other name needs.

        Returns:
            The name, and the digests of all blobs that are gone.

        Raises:
            ModelNotFoundError: It is not here.
            ConflictError: A digest was given, and several tags of the repository have it.
            InUseError: Somebody uses its files, and it has no other name.
        """
        with disk_errors(self._directory), self._layout.lock.hold():
            entries = self._layout.names.entries()
            named = _matching(entries, reference)
            if not named:
                raise _not_here(reference)
            if len(named) > 1:
                names = ", ".join(sorted(str(entry.reference) for entry in named))
                raise ConflictError(
                    f"{reference.digest} has several names ({names}): remove them one by one."
                )
            kept = tuple(entry for entry in entries if entry not in named)
            self._refuse_used(reference, named, kept)
            collection = self._layout.collect(kept)
        untagged = tuple(entry.reference for entry in named if entry.reference is not None)
        return Removal(untagged, collection.deleted, collection.freed_bytes)

    @contextlib.contextmanager
    def use(self, artifact: Artifact, user: str) -> Iterator[None]:
        """Keep a model's files as long as the block runs, whoever would remove them.

        Raises:
            ModelNotFoundError: It is not here any more.
        """
        with contextlib.ExitStack() as stack:
            with disk_errors(self._directory), self._layout.lock.hold():
                if all(entry.digest != artifact.digest for entry in self._layout.names.entries()):
                    raise _not_here(artifact.reference)
                stack.enter_context(self._layout.uses.hold(artifact.digest, user))
            yield

    def verify(
        self, reference: Reference | None, progress: ReportProgress, *, repair: bool
    ) -> Verification:
        """Hash again what is here, and fetch again what is damaged.

        A blob that cannot be fetched again is left as it is: perhaps somebody can make use of it.

        Raises:
            ModelNotFoundError: The model is not here.
            InvalidArtifactError: The index of names is damaged itself.
            UnavailableError: The disk is full, or not writable.
        """
        with disk_errors(self._directory), self._layout.leases.take() as lease:
            entries = self._layout.names.entries()
            if reference is not None:
                entries = tuple(_matching(entries, reference))
                if not entries:
                    raise _not_here(reference)
            mend = functools.partial(self._mend, lease, progress) if repair else None
            verifier = Verifier(self._layout, lease, progress, mend)
            return verifier.run(entries, others=reference is None)

    def prune(self, *, min_age_s: float, dry_run: bool) -> Pruning:
        """Delete what no model needs and nobody is working on.

        Raises:
            InvalidArtifactError: A manifest is damaged, so that nobody can tell what it needs.
            UnavailableError: The folder cannot be written.
        """
        with disk_errors(self._directory), self._layout.lock.hold():
            return self._layout.prune(min_age_s=min_age_s, dry_run=dry_run)

    def package(
        self, reference: Reference, source: PackageSource, progress: ReportProgress
    ) -> Artifact:
        """Make a model from GGUF files, under a name. The same files give the same digest.

        Raises:
            InvalidInputError: A file is missing, or the name is pinned to a digest.
            InvalidArtifactError: A file is not what it should be.
            UnavailableError: The disk is full, or not writable.
        """
        _refuse_digest(reference)
        plan = plan_package(source)
        with disk_errors(self._directory), self._layout.leases.take() as lease:
            layers = tuple(self._copy(file, plan, lease, progress) for file in plan.files)
            return self._commit_package(reference, plan, layers, lease)

    def blob_size(self, digest: Digest) -> int:
        """How large a blob is that is here, in a model or waiting.

        Raises:
            NotFoundError: It is not here.
        """
        with disk_errors(self._directory):
            return self._layout.inbox.find(digest).stat().st_size

    @contextlib.contextmanager
    def keep_blob(self, digest: Digest) -> Iterator[PartialBlob]:
        """Take a blob: the block writes its bytes, and at its end they are checked and kept.

        Raises:
            IntegrityError: At the end: the bytes do not hash to the digest.
            UnavailableError: The disk is full, or not writable.
        """
        with (
            disk_errors(self._directory),
            self._layout.leases.take() as lease,
            lease.partial(algorithm=digest.algorithm) as partial,
        ):
            yield partial
            self._layout.inbox.take(partial, digest)

    def make_model(
        self,
        reference: Reference,
        files: Mapping[PurePosixPath, Digest],
        licenses: Sequence[str],
        progress: ReportProgress,
    ) -> Artifact:
        """Make a model of blobs that are here, under a name. No bytes are copied.

        Raises:
            NotFoundError: A blob is not here.
            InvalidInputError: The files are no model, or the name is pinned to a digest.
            UnavailableError: The disk is full, or not writable.
        """
        _refuse_digest(reference)
        inbox = self._layout.inbox
        with disk_errors(self._directory), self._layout.leases.take() as lease:
            lease.protect(files.values())
            with inbox.laid_out(files, licenses) as folder:
                plan = folder.plan()
                layers = []
                for file in plan.files:
                    digest = folder.digest(file.path)
                    if digest is None:
                        layers.append(self._copy(file, plan, lease, progress))
                        continue
                    size_bytes = inbox.publish(digest)
                    progress(Progress("packaging", file.name, size_bytes, size_bytes, digest))
                    layers.append(plan.layer(file, digest, size_bytes))
            artifact = self._commit_package(reference, plan, layers, lease)
            inbox.forget(files.values())
            return artifact

    def _commit_package(
        self, reference: Reference, plan: PackagePlan, layers: Sequence[Descriptor], lease: Lease
    ) -> Artifact:
        """Make the manifest of layers that are here, and give it a name."""
        config = plan.config(layers)
        manifest = plan.manifest(config, layers)
        data = encode_manifest(manifest)
        stored = StoredManifest(manifest.media_type, Digest.of(data), data)
        self._layout.add_blob(config, manifest.config.digest, lease)
        return self._commit(reference, stored, lease)

    def tag(self, source: Reference, target: Reference) -> Artifact:
        """Give a model another name; a name that exists moves.

        Raises:
            ModelNotFoundError: The source is not here.
            InvalidReferenceError: The new name is pinned to a digest.
        """
        _refuse_digest(target)
        with disk_errors(self._directory), self._layout.lock.hold():
            entry = self._entry(source)
            named = entry.renamed(target)
            self._layout.name(named)
            return self._artifact(named, target)

    def push(self, reference: Reference, progress: ReportProgress) -> Digest:
        """Send a model to the registry in its name, blobs first.

        Raises:
            ModelNotFoundError: It is not here.
            InvalidArtifactError: It is, but not whole.
            TransferError: The transfer failed.
            AccessDeniedError: The registry refused.
        """
        with disk_errors(self._directory):
            stored = self._layout.manifest(self._entry(reference))
        from stoker_registry.upload import BlobToSend, Upload  # noqa: PLC0415 - as in _client

        manifest = decode_manifest(stored.data)
        blobs = {item.digest: item for item in (manifest.config, *manifest.layers)}
        for descriptor in blobs.values():
            if not self._layout.blobs.has(descriptor):
                raise InvalidArtifactError(
                    f"The store has lost blob {descriptor.digest} of {reference.familiar}; pull the"
                    " model again."
                )
        neighbours = self._neighbours(reference)
        with disk_errors(self._directory), self._client(reference, progress) as client:
            Upload(
                client,
                backoff=self._backoff,
                connections=self._options.connections,
                max_bytes_per_s=self._options.max_bytes_per_s,
                report=progress,
            ).run(
                tuple(
                    BlobToSend(
                        descriptor=descriptor,
                        path=self._layout.blobs.path(descriptor.digest),
                        item=descriptor.file_path or descriptor.digest.short,
                        mount_from=neighbours.get(descriptor.digest),
                    )
                    for descriptor in blobs.values()
                )
            )
            client.upload_manifest(stored, reference.tag or stored.digest)
        return stored.digest

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
        with disk_errors(self._directory), self._layout.leases.take() as lease:
            entries = [
                Entry.of(
                    reference,
                    entry.digest,
                    size_bytes=entry.size_bytes,
                    media_type=entry.media_type,
                )
                for reference in references
                for entry in [self._entry(reference)]
            ]
            blobs: dict[Digest, Descriptor] = {}
            for entry in entries:
                descriptor = entry.wire.to_domain()
                lease.protect((descriptor.digest,))
                manifest = decode_manifest(self._layout.manifest(entry).data)
                for item in (descriptor, *_descriptors(manifest)):
                    blobs[item.digest] = item
            lease.protect(blobs)
            for item in blobs.values():
                if not self._layout.blobs.has(item):
                    raise IntegrityError(
                        f"The store has lost blob {item.digest}: `stoker verify --repair` fetches"
                        " it again."
                    )
            with open_target(target) as layout:
                write_layout(layout, self._layout.blobs, entries, blobs.values(), progress)

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
            _refuse_digest(name)
        with (
            open_source(source) as files,
            disk_errors(self._directory),
            self._layout.leases.take() as lease,
        ):
            arrivals = []
            for model in read_models(files, source=str(source), name=name):
                artifact = Artifact(
                    model.reference, model.stored.digest, model.manifest, model.facts, NAME
                )
                # What could not be opened later is refused before it is copied.
                arrivals.append((model, self._item_names(artifact)))
            for model, items in arrivals:
                lease.protect((model.stored.digest, *_digests(model.manifest)))
                self._layout.add_blob(model.config, model.manifest.config.digest, lease)
                for layer, item in zip(model.manifest.layers, items, strict=True):
                    if not self._layout.blobs.has(layer):
                        with lease.partial(algorithm=layer.digest.algorithm) as partial:
                            copy_blob(
                                files,
                                layer,
                                partial,
                                Meter(progress, "importing", item, layer.size_bytes),
                            )
                            partial.publish(self._layout.blobs)
            return [
                self._commit(_index_name(model.reference), model.stored, lease)
                for model, _ in arrivals
            ]

    def log_in(self, registry: str, *, username: str, password: str) -> Login:
        """Try a login, and keep it where docker's config wants logins kept.

        Raises:
            InvalidInputError: The user name has a colon.
            AccessDeniedError: The registry refuses it.
            TransferError: There is no registry, or it cannot be reached.
            ConfigError: Docker's config cannot be read.
            UnavailableError: The login cannot be kept.
        """
        from stoker_registry.client import RepositoryClient  # noqa: PLC0415 - as in _client

        if ":" in username:
            raise InvalidInputError(f"{username!r} is no user name: it has a colon in it.")
        credentials = Credentials(username, password)
        client = RepositoryClient(
            Reference(registry, ""),
            self._options,
            find=lambda _name: CredentialSource("the command line", credentials),
        )
        with contextlib.closing(client):
            try:
                is_verified = client.check_login()
            except AccessDeniedError as exc:
                raise AccessDeniedError(
                    f"{registry} does not take this password of {username!r}; nothing was kept."
                ) from exc
        return Login(registry, store_credentials(registry, credentials), is_verified)

    def log_out(self, registry: str) -> bool:
        """Forget a login, in docker's config and with the helper that it names.

        Raises:
            ConfigError: Docker's config cannot be read.
            UnavailableError: The login cannot be forgotten.
        """
        return erase_credentials(registry)

    def manifest(self, repository: str, reference: str) -> StoredManifest:
        """The manifest of a tag or digest in a repository, byte for byte.

        Raises:
            ModelNotFoundError: There is none.
            InvalidDigestError: The reference has a colon, but is no digest.
        """
        digest = Digest.parse(reference) if ":" in reference else None
        with disk_errors(self._directory):
            for entry in self._repository(repository):
                name = entry.reference
                if entry.digest == digest or (name and digest is None and name.tag == reference):
                    return self._layout.manifest(entry)
        name_asked = f"{repository}{'@' if digest else ':'}{reference}"
        raise ModelNotFoundError(f"There is no model {name_asked!r} here.", model=name_asked)

    def blob(self, repository: str, digest: Digest) -> Path:
        """The file of a blob that a manifest of the repository names.

        Raises:
            NotFoundError: There is none.
        """
        with disk_errors(self._directory):
            for entry in self._repository(repository):
                for descriptor in _descriptors(decode_manifest(self._layout.manifest(entry).data)):
                    if descriptor.digest == digest and self._layout.blobs.has(descriptor):
                        return self._layout.blobs.path(digest)
        raise NotFoundError(f"No model of {repository!r} has a blob {digest}.")

    def tags(self, repository: str) -> Sequence[str]:
        """All tags of a repository, sorted.

        Raises:
            ModelNotFoundError: There is no such repository.
        """
        with disk_errors(self._directory):
            entries = self._repository(repository)
        return sorted(
            entry.reference.tag for entry in entries if entry.reference and entry.reference.tag
        )

    def repositories(self) -> Sequence[str]:
        """All repositories, sorted, by names that the other methods know them by."""
        names = set()
        with disk_errors(self._directory):
            for entry in self._layout.names.entries():
                reference = entry.reference
                if reference is None or entry.media_type not in _SERVED_TYPES:
                    continue
                # A port's colon has no place in the name of a repository.
                is_plain = reference.registry == DEFAULT_REGISTRY or ":" in reference.registry
                prefix = "" if is_plain else f"{reference.registry}/"
                names.add(f"{prefix}{reference.repository}")
        return sorted(names)

    def _refuse_used(
        self, reference: Reference, named: Sequence[Entry], kept: Sequence[Entry]
    ) -> None:
        """See that no files go that somebody works with.

        Raises:
            InUseError: They would.
        """
        users = self._layout.uses.users()
        going = {entry.digest for entry in named} - {entry.digest for entry in kept}
        for digest in going & set(users):
            raise InUseError(
                f"{reference.familiar} is in use by {users[digest]}: unload it there first"
                f" (`stoker stop {reference.familiar}`)."
            )

    def _mend(
        self,
        lease: Lease,
        progress: ReportProgress,
        damage: Damage,
        descriptor: Descriptor,
        users: Sequence[Entry],
    ) -> Damage:
        """Fetch a damaged blob again; one that nobody needs is deleted."""
        path = self._layout.blobs.path(descriptor.digest)
        # Aside first: what is under its name counts as whole. It goes when this process dies.
        aside = lease.place()
        with self._layout.lock.hold():
            if not users:
                if descriptor.digest in self._layout.leases.protected():
                    return attrs.evolve(
                        damage, remark="Somebody is fetching a model that needs it."
                    )
                path.unlink(missing_ok=True)
                return attrs.evolve(
                    damage, is_repaired=True, remark="No model needs it: it was deleted."
                )
            with contextlib.suppress(FileNotFoundError):
                path.rename(aside)
        remark = "No registry is known that has it: package or import the model again."
        try:
            for source in sources_of(users):
                try:
                    read_from_any(
                        source,
                        self._options,
                        lambda place: self._refetch(place, descriptor, lease, progress),
                    )
                except (AccessDeniedError, InvalidInputError, NotFoundError, TransferError) as exc:
                    remark = f"It cannot be fetched again from {source.familiar}: {exc}"
                    continue
                with self._layout.lock.hold():
                    for entry in users:
                        # Both were made of the damaged file.
                        self._layout.bundles.remove(entry.digest)
                        self._layout.facts.remove(entry.digest)
                return attrs.evolve(
                    damage,
                    is_repaired=True,
                    remark=f"It was fetched again from {source.familiar}.",
                )
        finally:
            if aside.exists():
                if path.exists():
                    aside.unlink()
                else:
                    aside.rename(path)
        return attrs.evolve(damage, remark=remark)

    def _refetch(
        self, source: Reference, descriptor: Descriptor, lease: Lease, progress: ReportProgress
    ) -> None:
        with self._client(source, progress) as client:
            if is_manifest(descriptor):
                data = client.fetch_manifest(descriptor.digest).data
                self._layout.add_blob(data, descriptor.digest, lease)
            else:
                self._fetch_blobs(client, [descriptor], [item_of(descriptor)], progress)

    def _entry(self, reference: Reference) -> Entry:
        entries = _matching(self._layout.names.entries(), reference)
        if not entries:
            raise _not_here(reference)
        return entries[0]

    def _artifact(self, entry: Entry, reference: Reference) -> Artifact:
        manifest = decode_manifest(self._layout.manifest(entry).data)
        artifact = Artifact(
            reference=reference,
            digest=entry.digest,
            manifest=manifest,
            facts=self._facts(manifest.config),
            store=NAME,
            created_s=self._layout.blobs.path(entry.digest).stat().st_mtime,
        )
        try:
            facts = self._layout.facts.get(entry.digest, lambda: self._facts_of_files(artifact))
        except InvalidInputError as exc:
            _log.info("The files of %s say nothing: %s", reference, exc)
            facts = ModelFacts()
        # The format chooses what layers are, so it stays what the publisher said.
        added = attrs.evolve(facts, format=artifact.facts.format)
        return attrs.evolve(artifact, facts=artifact.facts.or_else(added))

    def _facts_of_files(self, artifact: Artifact) -> ModelFacts:
        """What the model's own files say, for configs that say little."""
        layers = [layer for layer in self._formats.layers(artifact) if _packing(layer) is None]
        return read_facts(
            ModelFile(
                str(path),
                self._layout.blobs.path(layer.descriptor.digest),
                layer.role,
                layer.media_type,
            )
            for layer, path in zip(layers, layer_paths(layers), strict=True)
        )

    def _facts(self, config: Descriptor) -> ModelFacts:
        if not knows_config(config.media_type):
            return ModelFacts()
        data = self._layout.blobs.read(config.digest, limit_bytes=MAX_CONFIG_BYTES)
        return read_config(config.media_type, data)

    def _commit(
        self,
        reference: Reference,
        stored: StoredManifest,
        lease: Lease,
        *,
        source: Reference | None = None,
    ) -> Artifact:
        """Give blobs that are all here a name."""
        self._layout.add_blob(stored.data, stored.digest, lease)
        entry = Entry.of(
            _index_name(reference),
            stored.digest,
            size_bytes=len(stored.data),
            media_type=stored.media_type,
            source=source,
        )
        with self._layout.lock.hold():
            self._layout.name(entry)
        return self._artifact(entry, reference)

    def _fetch_blobs(
        self,
        client: RepositoryClient,
        layers: Sequence[Descriptor],
        names: Sequence[str],
        progress: ReportProgress,
    ) -> None:
        """Fetch layers, or what is missing of them."""
        from stoker_registry.download import (  # noqa: PLC0415 - as in _client
            Download,
            Fetching,
            wanted_blobs,
        )

        fetching = Fetching(
            partials=self._layout.partials,
            blobs=self._layout.blobs,
            backoff=self._backoff,
            connections=self._options.connections,
            max_bytes_per_s=self._options.max_bytes_per_s,
        )
        Download(client.open_blob, fetching, progress).run(wanted_blobs(layers, names))

    def _copy(
        self, file: SourceFile, plan: PackagePlan, lease: Lease, progress: ReportProgress
    ) -> Descriptor:
        """Copy a user's file into the store.

        A copy, never a hard link: the user may change their file, and a blob must not change.
        """
        meter = Meter(progress, "packaging", file.name, file.path.stat().st_size)
        meter(0)
        with lease.partial() as partial:
            for chunk in _chunks(file.path):
                partial.write(chunk)
                meter(partial.size_bytes)
            layer = plan.layer(file, partial.digest, partial.size_bytes)
            lease.protect((layer.digest,))
            partial.publish(self._layout.blobs)
        return layer

    @contextlib.contextmanager
    def _client(self, reference: Reference, progress: ReportProgress) -> Iterator[RepositoryClient]:
        # oras and requests cost a third of a second, and only transfers need them.
        from stoker_registry.client import RepositoryClient  # noqa: PLC0415

        client = RepositoryClient(
            reference,
            self._options,
            backoff=self._backoff,
            heartbeat=lambda: progress(Progress("waiting to try again")),
        )
        with contextlib.closing(client):
            yield client

    def _neighbours(self, reference: Reference) -> dict[Digest, str]:
        """Other repositories of the same registry that may have a blob already."""
        found: dict[Digest, str] = {}
        for artifact in self.list():
            other = artifact.reference
            if other.registry == reference.registry and other.repository != reference.repository:
                found.update(dict.fromkeys(_digests(artifact.manifest), other.repository))
        return found

    def _repository(self, name: str) -> Sequence[Entry]:
        """The entries of a repository that is named with its registry or without."""
        by_registry: dict[str, list[Entry]] = {}
        for entry in self._layout.names.entries():
            reference = entry.reference
            if reference is None or entry.media_type not in _SERVED_TYPES:
                continue
            if f"{reference.registry}/{reference.repository}" == name:
                by_registry.setdefault("", []).append(entry)
            elif reference.repository == name:
                by_registry.setdefault(reference.registry, []).append(entry)
        for registry in ("", DEFAULT_REGISTRY):
            if registry in by_registry:
                return by_registry[registry]
        if len(by_registry) != 1:
            choice = f" in one registry, but in {', '.join(sorted(by_registry))}"
            raise ModelNotFoundError(
                f"There is no repository {name!r}{choice if by_registry else ''} here.", model=name
            )
        return next(iter(by_registry.values()))


def _index_name(reference: Reference) -> Reference:
    """The name under which a pull is kept: a pinned one leaves the tag alone, as in docker."""
    if reference.digest is None:
        return reference
    return Reference(reference.registry, reference.repository, digest=reference.digest)


def _matching(entries: Iterable[Entry], reference: Reference) -> Sequence[Entry]:
    """The entry of a name, or all entries of a digest in a repository."""
    name = _index_name(reference)
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


def _packing(layer: Layer) -> Packing | None:
    return packing_of(layer.descriptor.media_type)


def _descriptors(manifest: Manifest) -> Sequence[Descriptor]:
    return (manifest.config, *manifest.layers)


def _digests(manifest: Manifest) -> Sequence[Digest]:
    return tuple(descriptor.digest for descriptor in _descriptors(manifest))


def _chunks(path: Path) -> Iterator[bytes]:
    try:
        with path.open("rb") as file:
            while chunk := file.read(CHUNK_BYTES):
                yield chunk
    except OSError as exc:
        raise InvalidInputError(f"{path} cannot be read: {exc.strerror or exc}.") from exc


def _no_progress(_progress: Progress) -> None:
    """For what is too short to report."""


def _refuse_digest(reference: Reference) -> None:
    if reference.digest is not None:
        raise InvalidReferenceError(
            f"{reference.familiar} names a digest, which cannot be chosen: give a tag instead."
        )


def _not_here(reference: Reference) -> ModelNotFoundError:
    name = reference.familiar
    return ModelNotFoundError(
        f"There is no model {name!r} here: `stoker pull {name}` fetches it.", model=name
    )
