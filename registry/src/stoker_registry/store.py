"""The store `oci`: models from any container registry, kept as an OCI image layout.

`OciStore` is what stoker sees. Each thing that it can do stands in a module of its own; here is
what they share, and how names, uses and removals go together.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, cast

import attrs

from stoker.artifact import Artifact, ModelBundle
from stoker.blob_keeper import BlobKeeper
from stoker.digest import Digest
from stoker.errors import ConflictError, InUseError
from stoker.exchange import LayoutExchange
from stoker.intake import ContentSink
from stoker.logins import Login, LoginKeeper
from stoker.media_types import MediaType
from stoker.reference import Reference
from stoker.store import (
    ContentSource,
    PackageSource,
    Removal,
    ReportProgress,
    StoreContext,
    StoredManifest,
    WritableStore,
)
from stoker.upkeep import Pruning, Upkeep, Verification
from stoker_registry.backoff import Backoff
from stoker_registry.blobs import PartialBlob
from stoker_registry.chain import ModelChain
from stoker_registry.content import OciContent
from stoker_registry.disk import disk_errors
from stoker_registry.intake import OciIntake
from stoker_registry.layout import ImageLayout
from stoker_registry.local_models import LocalModels
from stoker_registry.mender import Mender, leave_to_keeper
from stoker_registry.names import Entry, matching, refuse_digest
from stoker_registry.options import OciOptions
from stoker_registry.puller import Puller
from stoker_registry.pusher import Pusher
from stoker_registry.registries import Registries
from stoker_registry.registry_logins import RegistryLogins
from stoker_registry.shared_layout import open_shared
from stoker_registry.verification import Mend, Verifier

if TYPE_CHECKING:
    from stoker_registry.packager import Packager


class OciStore(
    WritableStore, ContentSource, ContentSink, BlobKeeper, LoginKeeper, Upkeep, LayoutExchange
):
    """Models in an image layout, and the way to and from registries.

    Any thread may call anything: all state is in the folder, but for what others are just pushing.
    What a method raises is in its contract; what the file system says against it is an
    `UnavailableError`.
    """

    def __init__(self, context: StoreContext, *, backoff: Backoff | None = None) -> None:
        """Open the store's folder; it is made where it is missing.

        Raises:
            UnavailableError: The folder cannot be used.
            ConfigError: A shared store is not there.
        """
        directory = context.directory.absolute()
        options = cast("OciOptions", context.options)
        registries = Registries(options, backoff or Backoff())
        with disk_errors(directory):
            layout = ImageLayout.open(directory)
        own = LocalModels(
            directory, layout.names, layout.blobs, layout.bundles, layout.facts, context.formats
        )
        chain = ModelChain(own, open_shared(options.shared, layout, context.formats))
        layout = attrs.evolve(layout, guests=chain.shared_manifests)
        self._layout = layout
        self._chain = chain
        self._puller = Puller(layout, chain, registries)
        self._pusher = Pusher(layout, chain, registries)
        self._logins = RegistryLogins(options)
        self._content = OciContent(chain)
        self._intake = OciIntake(layout, self._content)

    # Models by name ------------------------------------------------------------------------

    def resolve(self, reference: Reference) -> Artifact:
        """Look a model up among what is here."""
        with self._disk_errors():
            models, entry = self._chain.get(reference)
            return models.artifact(entry, reference)

    def list(self) -> Sequence[Artifact]:
        """All models that are here, sorted by reference; damaged ones are logged and left out."""
        with self._disk_errors():
            return sorted(self._chain.artifacts(), key=lambda item: str(item.reference))

    def open(self, artifact: Artifact) -> ModelBundle:
        """Give a model's files real names."""
        with self._disk_errors():
            return self._chain.holder(artifact).open(artifact)

    def tag(self, source: Reference, target: Reference) -> Artifact:
        """Give a model another name; a name that exists moves."""
        refuse_digest(target)
        with self._disk_errors(), self._layout.lock.hold():
            named = self._chain.named_here(source)[0].renamed(target)
            self._layout.name(named)
            return self._chain.own.artifact(named, target)

    def remove(self, reference: Reference) -> Removal:
        """Remove a name, and what no other name needs.

        Raises:
            ModelNotFoundError: It is not here.
            ConflictError: A digest was given, and several tags of the repository have it; or it
                is in a shared store.
            InUseError: Somebody uses its files, and it has no other name.
        """
        with self._disk_errors(), self._layout.lock.hold():
            named = self._chain.named_here(reference)
            if len(named) > 1:
                names = ", ".join(sorted(str(entry.reference) for entry in named))
                raise ConflictError(
                    f"{reference.digest} has several names ({names}): remove them one by one."
                )
            kept = tuple(entry for entry in self._layout.names.entries() if entry not in named)
            self._refuse_used(reference, named, kept)
            collection = self._layout.collect(kept)
        untagged = tuple(entry.reference for entry in named if entry.reference is not None)
        return Removal(untagged, collection.deleted, collection.freed_bytes)

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

    @contextlib.contextmanager
    def use(self, artifact: Artifact, user: str) -> Iterator[None]:
        """Keep a model's files as long as the block runs, whoever would remove them."""
        with contextlib.ExitStack() as stack:
            with self._disk_errors(), self._layout.lock.hold():
                self._chain.holder(artifact)
                stack.enter_context(self._layout.uses.hold(artifact.digest, user))
            yield

    # Models on their way -------------------------------------------------------------------

    def resolve_remote(self, reference: Reference) -> Artifact:
        """Look a model up in its registry, without its layers."""
        return self._puller.resolve(reference)

    def pull(self, reference: Reference, progress: ReportProgress) -> Artifact:
        """Fetch a model, or what is missing of it."""
        return self._puller.pull(reference, progress)

    def push(self, reference: Reference, progress: ReportProgress) -> Digest:
        """Send a model to the registry in its name."""
        return self._pusher.push(reference, progress)

    def package(
        self, reference: Reference, source: PackageSource, progress: ReportProgress
    ) -> Artifact:
        """Make a model from files, under a name."""
        return self._packager().package(reference, source, progress)

    def blob_size(self, digest: Digest) -> int:
        """How large a blob is that is here, in a model or waiting."""
        with self._disk_errors():
            return self._layout.inbox.find(digest).stat().st_size

    @contextlib.contextmanager
    def keep_blob(self, digest: Digest) -> Iterator[PartialBlob]:
        """Take a blob: the block writes its bytes, and at its end they are checked and kept."""
        with (
            self._disk_errors(),
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
        """Make a model of blobs that are here, under a name. No bytes of them are copied."""
        return self._packager().make_model(reference, files, licenses, progress)

    def export_layout(
        self, references: Sequence[Reference], target: Path, progress: ReportProgress
    ) -> None:
        """Write models that are here into a layout."""
        self._exchange().export_layout(references, target, progress)

    def import_layout(
        self, source: Path, progress: ReportProgress, *, name: Reference | None = None
    ) -> Sequence[Artifact]:
        """Take the models of a layout, under the names that they have in it."""
        return self._exchange().import_layout(source, progress, name=name)

    def _packager(self) -> Packager:
        from stoker_registry.packager import Packager  # noqa: PLC0415 - pulls need not wait for it

        return Packager(self._layout, self._chain.own)

    def _exchange(self) -> LayoutExchange:
        from stoker_registry.layout_exchange import OciExchange  # noqa: PLC0415 - as for packaging

        return OciExchange(self._layout, self._chain)

    # Upkeep --------------------------------------------------------------------------------

    def verify(
        self, reference: Reference | None, progress: ReportProgress, *, repair: bool
    ) -> Verification:
        """Hash again what is here, and fetch again what is damaged.

        Without a reference that is the store itself; shared ones are their keepers' business.
        """
        with self._disk_errors(), self._layout.leases.take() as lease:
            mender = Mender(self._layout, self._puller, lease, progress)
            mend: Mend | None = mender.mend if repair else None
            if reference is None:
                own = self._chain.own
                return Verifier(own, lease, progress, mend).run(own.names.entries(), others=True)
            models, _ = self._chain.get(reference)
            if repair and models is not self._chain.own:
                mend = leave_to_keeper
            entries = matching(models.names.entries(), reference)
            return Verifier(models, lease, progress, mend).run(entries, others=False)

    def prune(self, *, min_age_s: float, dry_run: bool) -> Pruning:
        """Delete what no model needs and nobody is working on."""
        with self._disk_errors(), self._layout.lock.hold():
            return self._layout.prune(min_age_s=min_age_s, dry_run=dry_run)

    # Abilities -----------------------------------------------------------------------------

    def log_in(self, registry: str, *, username: str, password: str) -> Login:
        """Try a login, and keep it."""
        return self._logins.log_in(registry, username=username, password=password)

    def log_out(self, registry: str) -> bool:
        """Forget a login."""
        return self._logins.log_out(registry)

    def manifest(self, repository: str, reference: str) -> StoredManifest:
        """The manifest of a tag or digest in a repository, byte for byte."""
        with self._disk_errors():
            return self._content.manifest(repository, reference)

    def blob(self, repository: str, digest: Digest) -> Path:
        """The file of a blob that a manifest of the repository names."""
        with self._disk_errors():
            return self._intake.pushed(repository, digest) or self._content.blob(repository, digest)

    def tags(self, repository: str) -> Sequence[str]:
        """All tags of a repository, sorted."""
        with self._disk_errors():
            return self._content.tags(repository)

    def repositories(self) -> Sequence[str]:
        """All repositories, sorted, by names that the other methods know them by."""
        with self._disk_errors():
            return self._content.repositories()

    # Models that others push ---------------------------------------------------------------

    def start_upload(self, repository: str) -> str:
        """Begin to take a blob."""
        with self._disk_errors():
            return self._intake.start_upload(repository)

    def uploaded_bytes(self, repository: str, upload: str) -> int:
        """How many bytes of an upload have come."""
        return self._intake.uploaded_bytes(repository, upload)

    def write_upload(self, repository: str, upload: str, data: bytes, *, offset: int) -> int:
        """Take the next bytes of an upload."""
        with self._disk_errors():
            return self._intake.write_upload(repository, upload, data, offset=offset)

    def finish_upload(self, repository: str, upload: str, digest: Digest) -> None:
        """End an upload."""
        with self._disk_errors():
            self._intake.finish_upload(repository, upload, digest)

    def cancel_upload(self, repository: str, upload: str) -> None:
        """Forget an upload."""
        with self._disk_errors():
            self._intake.cancel_upload(repository, upload)

    def mount(self, repository: str, digest: Digest, source: str) -> bool:
        """Use a blob of another repository in this one."""
        with self._disk_errors():
            return self._intake.mount(repository, digest, source)

    def put_manifest(
        self, repository: str, reference: str, media_type: MediaType, data: bytes
    ) -> Digest:
        """Name a model whose blobs have come."""
        with self._disk_errors():
            return self._intake.put_manifest(repository, reference, media_type, data)

    def _disk_errors(self) -> contextlib.AbstractContextManager[None]:
        return disk_errors(self._layout.directory)
