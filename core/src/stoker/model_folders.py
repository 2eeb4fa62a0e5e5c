"""The folder of a `FolderStore`: where models and their names lie, and how they get there.

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

import contextlib
import errno
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import msgspec

from stoker.artifact import Artifact, ModelFacts
from stoker.digest import Digest
from stoker.errors import (
    ConflictError,
    IntegrityError,
    InvalidArtifactError,
    InvalidDigestError,
    UnavailableError,
)
from stoker.layer_file import check_file_path
from stoker.manifest import Descriptor, Manifest
from stoker.reference import Reference
from stoker.wire.malformed import MALFORMED
from stoker.wire.manifest import decode_manifest, encode_manifest
from stoker.wire.model_config import DOCKER_CONFIG_V01
from stoker.wire.model_folder import NameRecord, decode_config, encode_config

_PUBLISH_ATTEMPTS = 3
"""More than two processes have to change one model in the same instant to need more."""


class ModelFolders:
    """Models and names in a folder that processes share. Has no state, and may be used anywhere."""

    def __init__(self, directory: Path, *, store: str, scheme: str, max_fetch_s: float) -> None:
        """Say where; nothing is read or written yet.

        Args:
            directory: The folder.
            store: The name of the store, for artifacts and errors.
            scheme: Of the references.
            max_fetch_s: What a fetch never takes: what is older was left by a crash.
        """
        self.directory = directory
        self._store = store
        self._scheme = scheme
        self.max_fetch_s = max_fetch_s

    def name_paths(self) -> Sequence[Path]:
        """The files of all names."""
        return sorted((self.directory / "names").glob("*.json"))

    def name_path(self, reference: Reference) -> Path:
        """The file of a name, which need not exist."""
        # A digest has a fixed length and no characters that a file system could mind.
        key = Digest.of(reference.repository.encode())
        return self.directory / "names" / f"sha256-{key.encoded}.json"

    def model_path(self, digest: Digest) -> Path:
        """The folder of a model, which need not exist."""
        return self.directory / "models" / f"{digest.algorithm}-{digest.encoded}"

    def models(self, name_paths: Iterable[Path]) -> Mapping[Digest, tuple[Reference, ...]]:
        """The models that are here, whole or not, with their names.

        Args:
            name_paths: The files of the names that count.

        Raises:
            InvalidArtifactError: A name's file is damaged.
        """
        found: dict[Digest, tuple[Reference, ...]] = {}
        for path in name_paths:
            record = read_name(path)
            if record is not None and self.model_path(record[1]).exists():
                found[record[1]] = (*found.get(record[1], ()), self._reference(record[0]))
        return found

    def read(self, name_path: Path) -> Artifact | None:
        """Read what a name means; None when the name or its model is not here.

        Raises:
            InvalidArtifactError: The name's file, or the model's manifest or config, is damaged.
        """
        record = read_name(name_path)
        if record is None:
            return None
        name, digest = record
        folder = self.model_path(digest)
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
            store=self._store,
            created_s=name.created_s,
        )

    def _reference(self, record: NameRecord) -> Reference:
        return Reference(registry="", repository=record.repository, scheme=self._scheme)

    def has_all(self, digest: Digest, manifest: Manifest) -> bool:
        """Whether all files of a model are here, in their sizes."""
        folder = self.model_path(digest)
        sizes = {file_path(folder, layer): layer.size_bytes for layer in manifest.layers}
        sizes[folder / "config.json"] = manifest.config.size_bytes
        return (folder / "manifest.json").is_file() and all(
            path.is_file() and path.stat().st_size == size for path, size in sizes.items()
        )

    def publish(
        self, model: Path, digest: Digest, scratch: Path, is_whole: Callable[[], bool]
    ) -> None:
        """Put a model in its place, unless a whole one is there already.

        Args:
            model: Its folder.
            digest: That of its manifest.
            scratch: Takes what is in the way.
            is_whole: Tells whether the one that is there already is whole.

        Raises:
            ConflictError: Other processes do the same again and again.
        """
        target = self.model_path(digest)
        target.parent.mkdir(exist_ok=True)
        for _ in range(_PUBLISH_ATTEMPTS):
            if target.exists():
                if is_whole():
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
    def scratch(self) -> Iterator[Path]:
        """A folder on the same disk that is gone afterwards, whatever happens."""
        self.directory.mkdir(parents=True, exist_ok=True)
        for left_over in self.directory.glob(".partial-*"):
            with contextlib.suppress(FileNotFoundError):
                if time.time() - left_over.stat().st_mtime > self.max_fetch_s:
                    shutil.rmtree(left_over, ignore_errors=True)
        with tempfile.TemporaryDirectory(prefix=".partial-", dir=self.directory) as scratch:
            yield Path(scratch)

    @contextlib.contextmanager
    def disk_errors(self) -> Iterator[None]:
        """Turn the disk's errors within a block into one that people understand.

        Raises:
            UnavailableError: The disk is full, read-only, ...
        """
        try:
            yield
        except OSError as exc:
            raise UnavailableError(
                f"The store {self._store!r} cannot write to its folder: {exc}."
            ) from exc


def read_name(path: Path) -> tuple[NameRecord, Digest] | None:
    """What the file of a name says; None when there is none.

    Raises:
        InvalidArtifactError: It is damaged.
    """
    try:
        record = msgspec.json.decode(path.read_bytes(), type=NameRecord)
        return record, Digest.parse(record.digest)
    except FileNotFoundError:
        return None
    except (OSError, *MALFORMED, InvalidDigestError) as exc:
        raise InvalidArtifactError(
            f"{path} cannot be read ({exc}): delete it and pull the model again."
        ) from exc


def file_path(folder: Path, layer: Descriptor) -> Path:
    """Where a layer's file is, in the folder of a model."""
    # The path was checked when the model was pulled, and the manifest's digest protects it.
    return folder / "files" / (layer.file_path or "")


def check_layers(files: Path, layers: Sequence[Descriptor]) -> None:
    """Believe what was fetched only when it is there, and bring it to the disk.

    Raises:
        IntegrityError: It is not there.
    """
    for layer in layers:
        path = layer.file_path or ""
        check_file_path(path)
        if not (files / path).is_file() or (files / path).stat().st_size != layer.size_bytes:
            raise IntegrityError(f"{path} was fetched, but is not there with its size.")
        # What a link leads to is not ours to touch.
        if not (files / path).is_symlink():
            with (files / path).open("rb+") as file:
                os.fsync(file.fileno())


def write_manifest(
    model: Path,
    layers: tuple[Descriptor, ...],
    facts: ModelFacts,
    annotations: Mapping[str, str],
) -> tuple[Manifest, Digest]:
    """Write a model's manifest and config as a registry would hold them."""
    config = encode_config(facts, layers)
    manifest = Manifest(
        config=Descriptor(DOCKER_CONFIG_V01, Digest.of(config), len(config)),
        layers=layers,
        annotations=annotations,
    )
    data = encode_manifest(manifest)
    write(model / "config.json", config)
    write(model / "manifest.json", data)
    return manifest, Digest.of(data)


def write(path: Path, data: bytes) -> None:
    """Write a new file, and bring it to the disk."""
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
