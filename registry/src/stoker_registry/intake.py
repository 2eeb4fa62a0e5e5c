"""Intake: models that others push into the store."""

from __future__ import annotations

import contextlib
import hashlib
import secrets
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import attrs

from stoker.artifact import Artifact
from stoker.digest import Digest
from stoker.errors import (
    ConflictError,
    IntegrityError,
    InvalidReferenceError,
    NotFoundError,
    OverloadedError,
)
from stoker.intake import ContentSink
from stoker.media_types import MediaType
from stoker.reference import DEFAULT_REGISTRY, Reference, is_registry
from stoker.store import StoredManifest
from stoker.wire.manifest import decode_manifest, media_type_of
from stoker_registry.artifact_files import ArtifactFiles
from stoker_registry.blobs import PartialBlob
from stoker_registry.content import OciContent
from stoker_registry.layout import ImageLayout
from stoker_registry.leases import Lease
from stoker_registry.local_models import NAME
from stoker_registry.model_config import MAX_CONFIG_BYTES, read_config

MAX_UPLOADS = 64
_MAX_WAITING_BLOBS = 10_000
IDLE_S = 3600.0
"""So long an upload may stand still, and a blob may wait for its manifest."""


@attrs.define(eq=False)
class _Upload:
    """A blob that comes. `lock` is held by whoever writes."""

    repository: str
    lease: Lease
    partial: PartialBlob
    kept: contextlib.ExitStack
    """Ends the lease."""
    touched_s: float
    lock: threading.Lock = attrs.field(factory=threading.Lock)

    def discard(self) -> None:
        """Keep nothing of it."""
        with self.kept:
            self.partial.__exit__(None, None, None)


@attrs.frozen
class _Waiting:
    """A blob that came, and that no manifest names yet; a lease keeps it."""

    kept: contextlib.ExitStack
    since_s: float


class OciIntake(ContentSink):
    """The intake of one store. `_lock` guards the tables; an upload's own lock its bytes.

    What is under way is known to this process alone, and protected by leases: when it dies, the
    next collection takes the rest.
    """

    def __init__(
        self,
        layout: ImageLayout,
        content: OciContent,
        *,
        now_s: Callable[[], float] = time.monotonic,
    ) -> None:
        """Make the intake.

        Args:
            layout: Where models are put.
            content: What others see of them.
            now_s: The clock.
        """
        self._layout = layout
        self._content = content
        self._now_s = now_s
        self._lock = threading.Lock()
        self._uploads: dict[str, _Upload] = {}
        self._waiting: dict[tuple[str, Digest], _Waiting] = {}

    def start_upload(self, repository: str) -> str:
        """Begin to take a blob."""
        _named(repository, ":latest")
        self._drop_idle()
        with self._lock:
            if len(self._uploads) >= MAX_UPLOADS or len(self._waiting) >= _MAX_WAITING_BLOBS:
                raise OverloadedError(
                    "Too many uploads are under way: try again later.", retry_after_s=60
                )
        with contextlib.ExitStack() as stack:
            lease = stack.enter_context(self._layout.leases.take())
            partial = lease.partial()
            upload = secrets.token_hex(16)
            with self._lock:
                self._uploads[upload] = _Upload(
                    repository, lease, partial, stack.pop_all(), self._now_s()
                )
        return upload

    def uploaded_bytes(self, repository: str, upload: str) -> int:
        """How many bytes of an upload have come."""
        return self._upload(repository, upload).partial.size_bytes

    def write_upload(self, repository: str, upload: str, data: bytes, *, offset: int) -> int:
        """Take the next bytes of an upload."""
        found = self._upload(repository, upload)
        with _exclusive(found):
            if offset != found.partial.size_bytes:
                raise ConflictError(
                    f"Bytes from {offset} on do not follow the {found.partial.size_bytes} that"
                    " have come."
                )
            try:
                found.partial.write(data)
            except OSError:
                # Nobody knows how much of it is there.
                self._take(upload).discard()
                raise
            found.touched_s = self._now_s()
            return found.partial.size_bytes

    def finish_upload(self, repository: str, upload: str, digest: Digest) -> None:
        """End an upload: the blob is here afterwards, or nothing of it is."""
        with _exclusive(self._upload(repository, upload)):
            found = self._take(upload)
            try:
                with found.partial as partial:
                    partial.check_digest(digest)
                    found.lease.protect((digest,))
                    partial.publish(self._layout.blobs)
            except BaseException:
                found.kept.close()
                raise
        self._keep(repository, digest, found.kept)

    def cancel_upload(self, repository: str, upload: str) -> None:
        """Forget an upload."""
        with _exclusive(self._upload(repository, upload)):
            self._take(upload).discard()

    def mount(self, repository: str, digest: Digest, source: str) -> bool:
        """Use a blob of another repository in this one; False when that has none such."""
        _named(repository, ":latest")
        try:
            if self.pushed(source, digest) is None:
                self._content.blob(source, digest)
        except NotFoundError:
            return False
        with contextlib.ExitStack() as stack:
            stack.enter_context(self._layout.leases.take()).protect((digest,))
            # One of a shared store is not this store's to promise.
            if not self._layout.blobs.path(digest).exists():
                return False
            self._keep(repository, digest, stack.pop_all())
        return True

    def pushed(self, repository: str, digest: Digest) -> Path | None:
        """The file of a blob that came, and that no manifest names yet."""
        with self._lock:
            is_waiting = (repository, digest) in self._waiting
        return self._layout.blobs.path(digest) if is_waiting else None

    def put_manifest(
        self, repository: str, reference: str, media_type: MediaType, data: bytes
    ) -> Digest:
        """Name a model whose blobs have come."""
        if ":" in reference:
            digest = Digest.parse(reference)
            found = hashlib.new(digest.algorithm, data).hexdigest()
            if found != digest.encoded:
                raise IntegrityError(f"The manifest that came for {digest} is another: {found}.")
            name = _named(repository, f"@{digest}")
        else:
            digest = Digest.of(data)
            name = _named(repository, f":{reference}")
        stored = StoredManifest(media_type_of(data, declared=str(media_type)), digest, data)
        manifest = decode_manifest(data)
        digests = [blob.digest for blob in manifest.blobs]
        with self._layout.leases.take() as lease:
            lease.protect((digest, *digests))
            for blob in manifest.blobs:
                if not self._layout.blobs.has(blob):
                    raise NotFoundError(
                        f"Blob {blob.digest} of {blob.size_bytes} bytes has not come."
                    )
            config = self._layout.blobs.read(manifest.config.digest, limit_bytes=MAX_CONFIG_BYTES)
            facts = read_config(manifest.config.media_type, config)
            # What could not be opened later is refused now.
            ArtifactFiles.of(Artifact(name, digest, manifest, facts, NAME), self._content.formats)
            self._layout.commit(name, stored, lease)
        for item in digests:
            self._release((repository, item))
        return digest

    def _upload(self, repository: str, upload: str) -> _Upload:
        with self._lock:
            found = self._uploads.get(upload)
        if found is None or found.repository != repository:
            raise _no_upload()
        return found

    def _take(self, upload: str) -> _Upload:
        """Take an upload off the table, for whoever holds its lock."""
        with self._lock:
            found = self._uploads.pop(upload, None)
        if found is None:
            raise _no_upload()
        return found

    def _keep(self, repository: str, digest: Digest, kept: contextlib.ExitStack) -> None:
        with self._lock:
            before = self._waiting.pop((repository, digest), None)
            self._waiting[repository, digest] = _Waiting(kept, self._now_s())
        if before is not None:
            before.kept.close()

    def _release(self, key: tuple[str, Digest]) -> None:
        with self._lock:
            waiting = self._waiting.pop(key, None)
        if waiting is not None:
            waiting.kept.close()

    def _drop_idle(self) -> None:
        """Forget what nobody has gone on with for long."""
        oldest_s = self._now_s() - IDLE_S
        with self._lock:
            idle = [name for name, item in self._uploads.items() if item.touched_s < oldest_s]
            old = [key for key, item in self._waiting.items() if item.since_s < oldest_s]
        for upload in idle:
            # Whoever writes to it right now keeps it.
            with contextlib.suppress(NotFoundError, ConflictError):
                with self._lock:
                    found = self._uploads.get(upload)
                if found is not None:
                    with _exclusive(found):
                        self._take(upload).discard()
        for key in old:
            self._release(key)


@contextlib.contextmanager
def _exclusive(upload: _Upload) -> Iterator[None]:
    if not upload.lock.acquire(blocking=False):
        raise ConflictError("Another request writes to this upload.")
    try:
        yield
    finally:
        upload.lock.release()


def _no_upload() -> NotFoundError:
    return NotFoundError("There is no such upload (any more): start it anew.")


def _named(repository: str, rest: str) -> Reference:
    """The name that a model gets here: that under which it can be read again.

    Raises:
        InvalidReferenceError: There is none.
    """
    head, slash, _ = repository.partition("/")
    prefix = "" if is_registry(head) else f"{DEFAULT_REGISTRY}/"
    if slash:
        reference = Reference.parse(f"{prefix}{repository}{rest}")
        if f"{reference.registry}/{reference.repository}" == f"{prefix}{repository}":
            return reference
    raise InvalidReferenceError(
        f"Nothing can be pushed as {repository[:200]!r}: use a name like ai/smollm2, in lower case."
    )
