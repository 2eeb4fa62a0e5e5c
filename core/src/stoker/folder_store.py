"""A base for stores that fetch files from somewhere: they fetch, everything else is done here.

On disk::

    models/sha256-HEX/manifest.json   the artifact's manifest; its digest is the folder's name
    models/sha256-HEX/config.json
    models/sha256-HEX/files/...       the model's files, under their own names
    names/sha256-HEX.json             one per reference, named by the digest of its text
    uses/                             who works with which model
    .lock                             held by whoever removes a model or begins to use one
    .partial-.../                     a pull under way; nobody reads it
"""

from __future__ import annotations

import abc
import contextlib
import errno
import hashlib
import logging
import os
import shutil
import tempfile
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
    ConflictError,
    IntegrityError,
    InUseError,
    InvalidArtifactError,
    InvalidDigestError,
    ModelNotFoundError,
    NotFoundError,
    TransferError,
    UnavailableError,
)
from stoker.file_lock import FileLock
from stoker.formats import FormatTable
from stoker.layer_file import check_file_path
from stoker.manifest import Descriptor, Manifest
from stoker.reference import Reference
from stoker.store import Progress, Removal, ReportProgress, Store
from stoker.upkeep import Damage, Pruning, Upkeep, Verification
from stoker.uses import UseDirectory
from stoker.wire.malformed import MALFORMED
from stoker.wire.manifest import decode_manifest, encode_manifest
from stoker.wire.model_config import DOCKER_CONFIG_V01
from stoker.wire.model_folder import NameRecord, decode_config, encode_config

_log = logging.getLogger(__name__)

_PUBLISH_ATTEMPTS = 3
"""More than two processes have to change one model in the same instant to need more."""
_CHUNK_BYTES = 1024 * 1024
_REPORT_INTERVAL_S = 0.1


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
        self._directory = directory
        self._formats = formats
        self._name = name
        self._scheme = scheme
        self._max_fetch_s = max_fetch_s
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
        artifact = self._read(self._record_path(self.canonical(reference)))
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
        artifact = self._read(self._record_path(name))
        if artifact is not None and self.is_complete(artifact.digest, artifact.manifest):
            return artifact
        with self._disk_errors(), self._scratch() as scratch:
            model, rest = scratch / "model", scratch / "rest"
            (model / "files").mkdir(parents=True)
            rest.mkdir()
            fetched = self.fetch(name, model / "files", rest, progress)
            _check_layers(model / "files", fetched.layers)
            manifest, digest = _write_manifest(model, fetched)
            record = NameRecord(name.repository, str(digest), time.time())
            _write(scratch / "name.json", msgspec.json.encode(record))
            with self._lock:
                self._publish(model, digest, manifest, scratch)
                record_path = self._record_path(name)
                record_path.parent.mkdir(exist_ok=True)
                (scratch / "name.json").replace(record_path)
        return self.resolve(name)

    def list(self) -> Sequence[Artifact]:
        """All models that are here, sorted by reference; damaged ones are logged and left out.

        Raises:
            InvalidArtifactError: A name's own file is damaged, so nobody can tell what is left out.
        """
        artifacts = []
        for path in self._record_paths():
            _read_record(path)
            try:
                artifact = self._read(path)
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
        folder = self._model_path(artifact.digest)
        files = tuple(
            BundleFile(_file_path(folder, layer.descriptor), layer.role, layer.media_type)
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
            self._disk_errors(),
            self._scratch() as scratch,
            self._use_lock.hold(),
        ):
            # By what the names say alone: a model may be removed because it is damaged.
            ((digest, _),) = self._models(reference).items()
            name = self.canonical(reference)
            has_other_name = self._models(None)[digest] != (name,)
            user = self._uses.users().get(digest)
            if user is not None and not has_other_name:
                raise InUseError(f"{reference} is in use by {user}: unload it there first.")
            self._record_path(name).unlink(missing_ok=True)
            if has_other_name:
                return Removal((name,), (), 0)
            # Gone for others at once; the scratch folder's end deletes the bytes.
            self._model_path(digest).rename(scratch / "removed")
            freed_bytes = _remove_tree(scratch / "removed", dry_run=True)
        return Removal((name,), (digest,), freed_bytes)

    @contextlib.contextmanager
    def use(self, artifact: Artifact, user: str) -> Iterator[None]:
        """Keep a model's files as long as the block runs, whoever would remove them.

        Raises:
            ModelNotFoundError: It is not here any more.
        """
        with contextlib.ExitStack() as stack:
            with self._disk_errors(), self._use_lock.hold():
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
                artifact = self._read(self._record_path(models[0]))
            except InvalidArtifactError:
                item = "manifest or config"
                found: Sequence[Damage] = [Damage(digest, item, "was changed on disk", models)]
            else:
                layers = () if artifact is None else artifact.manifest.layers
                found = ()
                for layer in layers:
                    problem = _problem(_file_path(self._model_path(digest), layer), layer, progress)
                    checked += 1
                    checked_bytes += layer.size_bytes
                    if problem is not None:
                        item = layer.file_path or layer.digest.short
                        found = (*found, Damage(layer.digest, item, problem, models))
            if found and repair:
                found = self._mend(models[0], digest, found, progress)
            damages += found
        return Verification(checked, checked_bytes, tuple(damages))

    def _models(self, reference: Reference | None) -> Mapping[Digest, tuple[Reference, ...]]:
        """The models that are here, whole or not, with their names."""
        if reference is None:
            paths = self._record_paths()
        else:
            paths = (self._record_path(self.canonical(reference)),)
        found: dict[Digest, tuple[Reference, ...]] = {}
        for path in paths:
            record = _read_record(path)
            if record is not None and self._model_path(record[1]).exists():
                name = self._reference(record[0])
                found[record[1]] = (*found.get(record[1], ()), name)
        if reference is not None and not found:
            raise _not_here(reference)
        return found

    def _mend(
        self, name: Reference, digest: Digest, found: Sequence[Damage], progress: ReportProgress
    ) -> Sequence[Damage]:
        """Fetch a damaged model anew; it stays as it is when that fails."""
        folder = self._model_path(digest)
        with self._disk_errors(), self._scratch() as scratch:
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
        if not self._directory.exists():
            return Pruning((), 0, 0, 0)
        with self._lock, self._disk_errors(), self._use_lock.hold():
            kept = set(self._models(None)) | set(self._uses.users())
            for folder in sorted((self._directory / "models").glob("*-*")):
                algorithm, _, encoded = folder.name.partition("-")
                with contextlib.suppress(InvalidDigestError):
                    digest = Digest(algorithm, encoded)
                    if digest not in kept and _age_s(folder) > min_age_s:
                        blobs.append(digest)
                        freed_bytes += _remove_tree(folder, dry_run=dry_run)
            for folder in sorted(self._directory.glob(".partial-*")):
                if _age_s(folder) > max(min_age_s, self._max_fetch_s):
                    leftovers += 1
                    freed_bytes += _remove_tree(folder, dry_run=dry_run)
        return Pruning(tuple(blobs), leftovers, 0, freed_bytes)

    def _record_paths(self) -> Sequence[Path]:
        return sorted((self._directory / "names").glob("*.json"))

    def _record_path(self, reference: Reference) -> Path:
        # A digest has a fixed length and no characters that a file system could mind.
        key = Digest.of(reference.repository.encode())
        return self._directory / "names" / f"sha256-{key.encoded}.json"

    def _model_path(self, digest: Digest) -> Path:
        return self._directory / "models" / f"{digest.algorithm}-{digest.encoded}"

    def is_complete(self, digest: Digest, manifest: Manifest) -> bool:
        """Whether all files of a model are here, as they were fetched."""
        folder = self._model_path(digest)
        sizes = {_file_path(folder, layer): layer.size_bytes for layer in manifest.layers}
        sizes[folder / "config.json"] = manifest.config.size_bytes
        is_whole = (folder / "manifest.json").is_file() and all(
            path.is_file() and path.stat().st_size == size for path, size in sizes.items()
        )
        return is_whole and self.is_current(folder / "files", manifest.layers)

    def _read(self, record_path: Path) -> Artifact | None:
        """Read what a name means; None when the name or its model is not here."""
        record = _read_record(record_path)
        if record is None:
            return None
        name, digest = record
        folder = self._model_path(digest)
        try:
            manifest_bytes = (folder / "manifest.json").read_bytes()
            config_bytes = (folder / "config.json").read_bytes()
        except FileNotFoundError:
            return None
        except OSError as exc:
            raise InvalidArtifactError(
                f"{folder} cannot be read ({exc}): delete it and pull the model again."
            ) from exc
        reference = self._reference(name)
        _check_unchanged(folder / "manifest.json", manifest_bytes, digest, reference)
        manifest = decode_manifest(manifest_bytes)
        _check_unchanged(folder / "config.json", config_bytes, manifest.config.digest, reference)
        return Artifact(
            reference=reference,
            digest=digest,
            manifest=manifest,
            facts=decode_config(config_bytes),
            store=self._name,
            created_s=name.created_s,
        )

    def _reference(self, record: NameRecord) -> Reference:
        return Reference(registry="", repository=record.repository, scheme=self._scheme)

    def _publish(self, model: Path, digest: Digest, manifest: Manifest, scratch: Path) -> None:
        """Put a model in its place, unless a whole one is there already."""
        target = self._model_path(digest)
        target.parent.mkdir(exist_ok=True)
        for _ in range(_PUBLISH_ATTEMPTS):
            if target.exists():
                if self.is_complete(digest, manifest):
                    return
                # Gone already when another process mends the same model.
                with contextlib.suppress(FileNotFoundError):
                    target.rename(tempfile.mkdtemp(prefix="damaged-", dir=scratch))
            try:
                model.rename(target)
            except OSError as exc:
                # Another process put it there since the look: then it is whole.
                if exc.errno not in {errno.ENOTEMPTY, errno.EEXIST}:
                    raise
            else:
                return
        raise ConflictError(f"Other processes keep changing {target}: try again.")

    @contextlib.contextmanager
    def _scratch(self) -> Iterator[Path]:
        """A folder on the same disk that is gone afterwards, whatever happens."""
        self._directory.mkdir(parents=True, exist_ok=True)
        for left_over in self._directory.glob(".partial-*"):
            with contextlib.suppress(FileNotFoundError):
                if time.time() - left_over.stat().st_mtime > self._max_fetch_s:
                    shutil.rmtree(left_over, ignore_errors=True)
        with tempfile.TemporaryDirectory(prefix=".partial-", dir=self._directory) as scratch:
            yield Path(scratch)

    @contextlib.contextmanager
    def _disk_errors(self) -> Iterator[None]:
        try:
            yield
        except OSError as exc:
            raise UnavailableError(
                f"The store {self._name!r} cannot write to its folder: {exc}."
            ) from exc


def _read_record(path: Path) -> tuple[NameRecord, Digest] | None:
    """What a name means; None when nobody has it."""
    try:
        record = msgspec.json.decode(path.read_bytes(), type=NameRecord)
        return record, Digest.parse(record.digest)
    except FileNotFoundError:
        return None
    except (OSError, *MALFORMED, InvalidDigestError) as exc:
        raise InvalidArtifactError(
            f"{path} cannot be read ({exc}): delete it and pull the model again."
        ) from exc


def _file_path(folder: Path, layer: Descriptor) -> Path:
    # The path was checked when the model was pulled, and the manifest's digest protects it.
    return folder / "files" / (layer.file_path or "")


def _problem(path: Path, layer: Descriptor, progress: ReportProgress) -> str | None:
    """What is wrong with a file, as the end of a sentence."""
    item = layer.file_path or layer.digest.short
    done_bytes = 0
    reported_s = 0.0
    hasher = hashlib.new(layer.digest.algorithm)
    try:
        with path.open("rb") as file:
            while chunk := file.read(_CHUNK_BYTES):
                hasher.update(chunk)
                done_bytes += len(chunk)
                if time.monotonic() - reported_s > _REPORT_INTERVAL_S:
                    reported_s = time.monotonic()
                    progress(Progress("verifying", item, done_bytes, layer.size_bytes))
    except FileNotFoundError:
        return "is missing"
    except OSError as exc:
        return f"cannot be read ({exc.strerror})"
    if done_bytes != layer.size_bytes:
        return f"has {done_bytes} bytes instead of {layer.size_bytes}"
    progress(Progress("verifying", item, done_bytes, layer.size_bytes))
    return None if hasher.hexdigest() == layer.digest.encoded else "was changed on disk"


def _age_s(path: Path) -> float:
    return time.time() - path.stat().st_mtime


def _remove_tree(folder: Path, *, dry_run: bool) -> int:
    """Delete a folder, or only tell what it would free."""
    size_bytes = sum(path.lstat().st_size for path in folder.rglob("*") if path.is_file())
    if not dry_run:
        shutil.rmtree(folder)
    return size_bytes


def _check_layers(files: Path, layers: Sequence[Descriptor]) -> None:
    """Believe what was fetched only when it is there, and bring it to the disk."""
    for layer in layers:
        path = layer.file_path or ""
        check_file_path(path)
        if not (files / path).is_file() or (files / path).stat().st_size != layer.size_bytes:
            raise IntegrityError(f"{path} was fetched, but is not there with its size.")
        # What a link leads to is not ours to touch.
        if not (files / path).is_symlink():
            with (files / path).open("rb+") as file:
                os.fsync(file.fileno())


def _write_manifest(model: Path, fetched: FetchedModel) -> tuple[Manifest, Digest]:
    """Write the manifest and the config as a registry would hold them."""
    config = encode_config(fetched.facts, fetched.layers)
    manifest = Manifest(
        config=Descriptor(DOCKER_CONFIG_V01, Digest.of(config), len(config)),
        layers=fetched.layers,
        annotations=fetched.annotations,
    )
    data = encode_manifest(manifest)
    _write(model / "config.json", config)
    _write(model / "manifest.json", data)
    return manifest, Digest.of(data)


def _write(path: Path, data: bytes) -> None:
    with path.open("xb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def _check_unchanged(path: Path, data: bytes, digest: Digest, reference: Reference) -> None:
    if Digest.of(data) != digest:
        raise InvalidArtifactError(
            f"{path.name} of {reference} was changed on disk: `stoker verify --repair {reference}`"
            " fetches the model again."
        )


def _not_here(reference: Reference) -> ModelNotFoundError:
    return ModelNotFoundError(
        f"{reference} is not here: run `stoker pull {reference}`.", model=str(reference)
    )
