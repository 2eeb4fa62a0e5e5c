"""A base for stores that fetch files from somewhere: they fetch, everything else is done here."""

from __future__ import annotations

import abc
import contextlib
import logging
import shutil
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import attrs
import msgspec

from stoker.artifact import Artifact, BundleFile, ModelBundle, ModelFacts
from stoker.digest import Digest
from stoker.errors import (
    AccessDeniedError,
    InUseError,
    InvalidArtifactError,
    InvalidDigestError,
    ModelNotFoundError,
    NotFoundError,
    TransferError,
)
from stoker.file_check import check_file
from stoker.file_lock import FileLock
from stoker.formats import FormatTable
from stoker.manifest import Descriptor, Manifest
from stoker.model_folders import (
    ModelFolders,
    check_layers,
    file_path,
    read_name,
    write,
    write_manifest,
)
from stoker.reference import Reference
from stoker.store import Removal, ReportProgress, Store
from stoker.upkeep import Damage, Pruning, Upkeep, Verification
from stoker.uses import UseDirectory
from stoker.wire.model_folder import NameRecord

_log = logging.getLogger(__name__)


@attrs.frozen
class FetchedModel:
    """What `FolderStore.fetch` has put into the folder of files."""

    layers: tuple[Descriptor, ...]
    """One per file, with its path in the folder as annotation, as `write_layer` returns them.

    Shards of the weights stand in order.
    """
    facts: ModelFacts = ModelFacts()
    annotations: Mapping[str, str] = attrs.field(factory=dict)
    """Of the manifest. They belong to the model's identity: no times, no places."""


class FolderStore(Store, Upkeep):
    """Models in a folder, by references like `scheme:name`.

    A subclass says what its references mean (`canonical`) and brings a model's files (`fetch`).

    Processes may share the folder: everything appears by one rename and is complete then. Inside
    a process `_lock` guards names against removals; it is never held during a transfer.
    """

    def __init__(
        self,
        directory: Path,
        formats: FormatTable,
        *,
        name: str,
        scheme: str,
        max_fetch_s: float = 24 * 3600,
    ) -> None:
        """Make the store; nothing is read or written yet.

        Args:
            directory: The store's own folder, from its `StoreContext`.
            formats: The rules, from there too.
            name: As in the `StoreSpec`.
            scheme: Of the references that `canonical` returns.
            max_fetch_s: What a fetch never takes: what is older was left by a crash.
        """
        self._folders = ModelFolders(directory, store=name, scheme=scheme, max_fetch_s=max_fetch_s)
        self._formats = formats
        self._name = name
        self._lock = threading.Lock()
        self._uses = UseDirectory(directory / "uses")
        self._use_lock = FileLock(directory / ".lock")

    @abc.abstractmethod
    def canonical(self, reference: Reference) -> Reference:
        """The one spelling under which a model is stored; that of a canonical one is itself.

        Raises:
            InvalidReferenceError: The reference is not in the grammar of this store.
        """

    @abc.abstractmethod
    def fetch(
        self, reference: Reference, files: Path, scratch: Path, progress: ReportProgress
    ) -> FetchedModel:
        """Bring a model's files. Nobody sees them before this returns, or when it raises.

        Called from worker threads, several at once. An `OSError` counts as one of the disk:
        turn those of a network into a `TransferError`.

        Args:
            reference: A canonical one.
            files: An empty folder for the model's files; `stoker.layer_file.write_layer` writes
                them. What is no layer does not belong here.
            scratch: An empty folder on the same disk for everything else.
            progress: To be told of every step; it raises when the user gives up.

        Raises:
            ModelNotFoundError: There is no such model.
            InvalidArtifactError: What came is no model, or is not to be trusted.
            IntegrityError: What came is damaged.
            AccessDeniedError: Credentials are wanted.
            TransferError: The transfer failed or took too long.
        """

    def is_current(self, files: Path, layers: Sequence[Descriptor]) -> bool:
        """Whether files that are there, in their sizes, are still those that were fetched.

        For stores whose folders of files hold links: to files that others may change.

        Args:
            files: The folder of the model's files.
            layers: What is in it.
        """
        del files, layers
        return True

    def resolve(self, reference: Reference) -> Artifact:
        """Look a model up among what is here.

        Raises:
            ModelNotFoundError: It is not here.
            InvalidReferenceError: The reference is not in the grammar of this store.
        """
        artifact = self._folders.read(self._folders.name_path(self.canonical(reference)))
        if artifact is None:
            raise _not_here(reference)
        return artifact

    def pull(self, reference: Reference, progress: ReportProgress) -> Artifact:
        """Fetch a model; one that is here and complete is left as it is.

        A name that may mean something newer elsewhere stays at what it got: remove the model and
        pull it again.

        Raises:
            InvalidReferenceError: The reference is not in the grammar of this store.
            UnavailableError: The disk is full, read-only, ...
            StokerError: Whatever `fetch` raises.
        """
        name = self.canonical(reference)
        artifact = self._folders.read(self._folders.name_path(name))
        if artifact is not None and self.is_complete(artifact.digest, artifact.manifest):
            return artifact
        with self._folders.disk_errors(), self._folders.scratch() as scratch:
            model, rest = scratch / "model", scratch / "rest"
            (model / "files").mkdir(parents=True)
            rest.mkdir()
            fetched = self.fetch(name, model / "files", rest, progress)
            check_layers(model / "files", fetched.layers)
            manifest, digest = write_manifest(
                model, fetched.layers, fetched.facts, fetched.annotations
            )
            record = NameRecord(name.repository, str(digest), time.time())
            write(scratch / "name.json", msgspec.json.encode(record))
            with self._lock:
                self._folders.publish(
                    model, digest, scratch, lambda: self.is_complete(digest, manifest)
                )
                record_path = self._folders.name_path(name)
                record_path.parent.mkdir(exist_ok=True)
                (scratch / "name.json").replace(record_path)
        return self.resolve(name)

    def list(self) -> Sequence[Artifact]:
        """All models that are here, sorted by reference; damaged ones are logged and left out.

        Raises:
            InvalidArtifactError: A name's own file is damaged, so nobody can tell what is left out.
        """
        artifacts = []
        for path in self._folders.name_paths():
            read_name(path)
            try:
                artifact = self._folders.read(path)
            except InvalidArtifactError as exc:
                _log.warning("A model of store %s is damaged: %s", self._name, exc)
            else:
                artifacts += [] if artifact is None else [artifact]
        return sorted(artifacts, key=lambda artifact: artifact.reference.repository)

    def open(self, artifact: Artifact) -> ModelBundle:
        """Give the model's files, which lie under their real names already.

        Raises:
            ModelNotFoundError: It is not here (any more).
        """
        if not self.is_complete(artifact.digest, artifact.manifest):
            raise _not_here(artifact.reference)
        folder = self._folders.model_path(artifact.digest)
        files = tuple(
            BundleFile(file_path(folder, layer.descriptor), layer.role, layer.media_type)
            for layer in self._formats.layers(artifact)
        )
        return ModelBundle(artifact.reference, artifact.digest, files, artifact.facts)

    def remove(self, reference: Reference) -> Removal:
        """Remove a name, and the model when no other name means it.

        Raises:
            ModelNotFoundError: It is not here.
            InUseError: Somebody uses its files, and it has no other name.
        """
        with (
            self._lock,
            self._folders.disk_errors(),
            self._folders.scratch() as scratch,
            self._use_lock.hold(),
        ):
            # By what the names say alone: a model may be removed because it is damaged.
            ((digest, _),) = self._models(reference).items()
            name = self.canonical(reference)
            has_other_name = self._models(None)[digest] != (name,)
            user = self._uses.users().get(digest)
            if user is not None and not has_other_name:
                raise InUseError(f"{reference} is in use by {user}: unload it there first.")
            self._folders.name_path(name).unlink(missing_ok=True)
            if has_other_name:
                return Removal((name,), (), 0)
            # Gone for others at once; the scratch folder's end deletes the bytes.
            self._folders.model_path(digest).rename(scratch / "removed")
            freed_bytes = _remove_tree(scratch / "removed", dry_run=True)
        return Removal((name,), (digest,), freed_bytes)

    @contextlib.contextmanager
    def use(self, artifact: Artifact, user: str) -> Iterator[None]:
        """Keep a model's files as long as the block runs, whoever would remove them.

        Raises:
            ModelNotFoundError: It is not here any more.
        """
        with contextlib.ExitStack() as stack:
            with self._folders.disk_errors(), self._use_lock.hold():
                if not self.is_complete(artifact.digest, artifact.manifest):
                    raise _not_here(artifact.reference)
                stack.enter_context(self._uses.hold(artifact.digest, user))
            yield

    def verify(
        self, reference: Reference | None, progress: ReportProgress, *, repair: bool
    ) -> Verification:
        """Hash every file again, and fetch the models anew whose files are damaged.

        Raises:
            ModelNotFoundError: The model is not here.
            InvalidArtifactError: A name's own file is damaged.
        """
        damages: list[Damage] = []
        checked_bytes = checked = 0
        for digest, models in self._models(reference).items():
            try:
                artifact = self._folders.read(self._folders.name_path(models[0]))
            except InvalidArtifactError:
                item = "manifest or config"
                found: Sequence[Damage] = [Damage(digest, item, "was changed on disk", models)]
            else:
                layers = () if artifact is None else artifact.manifest.layers
                found = ()
                for layer in layers:
                    item = layer.file_path or layer.digest.short
                    path = file_path(self._folders.model_path(digest), layer)
                    check = check_file(path, layer.digest, layer.size_bytes, item, progress)
                    if check.hashed_bytes is not None:
                        checked += 1
                        checked_bytes += check.hashed_bytes
                    if check.problem is not None:
                        found = (*found, Damage(layer.digest, item, check.problem, models))
            if found and repair:
                found = self._mend(models[0], digest, found, progress)
            damages += found
        return Verification(checked, checked_bytes, tuple(damages))

    def _models(self, reference: Reference | None) -> Mapping[Digest, tuple[Reference, ...]]:
        """The models that are here, whole or not, with their names."""
        if reference is None:
            paths = self._folders.name_paths()
        else:
            paths = (self._folders.name_path(self.canonical(reference)),)
        found = self._folders.models(paths)
        if reference is not None and not found:
            raise _not_here(reference)
        return found

    def _mend(
        self, name: Reference, digest: Digest, found: Sequence[Damage], progress: ReportProgress
    ) -> Sequence[Damage]:
        """Fetch a damaged model anew; it stays as it is when that fails."""
        folder = self._folders.model_path(digest)
        with self._folders.disk_errors(), self._folders.scratch() as scratch:
            folder.rename(scratch / "damaged")
            try:
                fetched = self.pull(name, progress)
                remark = "The model was fetched again."
                is_repaired = fetched.digest == digest
                if not is_repaired:
                    remark += f" It is another one by now: {fetched.digest}."
            except (InvalidArtifactError, NotFoundError, AccessDeniedError, TransferError) as exc:
                return [
                    attrs.evolve(damage, remark=f"It cannot be fetched again: {exc}")
                    for damage in found
                ]
            finally:
                if not folder.exists() and (scratch / "damaged").exists():
                    (scratch / "damaged").rename(folder)
        return [attrs.evolve(damage, is_repaired=is_repaired, remark=remark) for damage in found]

    def prune(self, *, min_age_s: float, dry_run: bool) -> Pruning:
        """Delete what no name means and nobody is working on.

        A fetch has no lock, so what it leaves behind is kept for as long as one may take.

        Raises:
            InvalidArtifactError: A name's own file is damaged; nothing was deleted.
        """
        blobs: list[Digest] = []
        freed_bytes = leftovers = 0
        if not self._folders.directory.exists():
            return Pruning((), 0, 0, 0)
        with self._lock, self._folders.disk_errors(), self._use_lock.hold():
            kept = set(self._models(None)) | set(self._uses.users())
            for folder in sorted((self._folders.directory / "models").glob("*-*")):
                algorithm, _, encoded = folder.name.partition("-")
                with contextlib.suppress(InvalidDigestError):
                    digest = Digest(algorithm, encoded)
                    if digest not in kept and _age_s(folder) > min_age_s:
                        blobs.append(digest)
                        freed_bytes += _remove_tree(folder, dry_run=dry_run)
            for folder in sorted(self._folders.directory.glob(".partial-*")):
                if _age_s(folder) > max(min_age_s, self._folders.max_fetch_s):
                    leftovers += 1
                    freed_bytes += _remove_tree(folder, dry_run=dry_run)
        return Pruning(tuple(blobs), leftovers, 0, freed_bytes)

    def is_complete(self, digest: Digest, manifest: Manifest) -> bool:
        """Whether all files of a model are here, as they were fetched."""
        files = self._folders.model_path(digest) / "files"
        return self._folders.has_all(digest, manifest) and self.is_current(files, manifest.layers)


def _age_s(path: Path) -> float:
    return time.time() - path.stat().st_mtime


def _remove_tree(folder: Path, *, dry_run: bool) -> int:
    """Delete a folder, or only tell what it would free."""
    size_bytes = sum(path.lstat().st_size for path in folder.rglob("*") if path.is_file())
    if not dry_run:
        shutil.rmtree(folder)
    return size_bytes


def _not_here(reference: Reference) -> ModelNotFoundError:
    return ModelNotFoundError(
        f"{reference} is not here: run `stoker pull {reference}`.", model=str(reference)
    )
