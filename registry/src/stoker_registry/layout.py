"""The store's folder: an OCI image layout, with what stoker needs beside it.

    oci-layout, index.json, blobs/   the image layout, as skopeo and others read it
    bundles/                         models as files under their real names
    facts/                           what the models' files say, written down
    inbox/                           blobs that were sent by themselves, for models to come
    leases/                          who is busy, and what is being packaged
    partials/                        blobs that are being fetched, or were until it broke off
    uses/                            who works with which model
    lock                             held for every change of index.json and every collection

Other tools may read the folder at any time. Writing is stoker's alone, for nobody else takes the
lock.

https://github.com/opencontainers/image-spec/blob/v1.1.0/image-layout.md
"""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import attrs

from stoker.digest import Digest
from stoker.errors import InvalidArtifactError
from stoker.file_lock import FileLock
from stoker.reference import Reference
from stoker.store import StoredManifest
from stoker.upkeep import Pruning
from stoker.uses import UseDirectory
from stoker.wire.manifest import (
    INDEX_TYPES,
    MAX_MANIFEST_BYTES,
    decode_index,
    decode_manifest,
    media_type_of,
)
from stoker_registry.blobs import BlobDirectory
from stoker_registry.bundles import BundleDirectory
from stoker_registry.disk import write_atomically
from stoker_registry.facts_cache import FactsCache
from stoker_registry.inbox import Inbox
from stoker_registry.leases import Lease, LeaseDirectory
from stoker_registry.names import Entry, NameIndex, index_name
from stoker_registry.partials import PartialDirectory

_log = logging.getLogger(__name__)

LAYOUT_MARK = b'{"imageLayoutVersion":"1.0.0"}'


@attrs.frozen
class Collection:
    """What a garbage collection deleted."""

    deleted: tuple[Digest, ...]
    freed_bytes: int


@attrs.frozen
class ImageLayout:
    """The parts of the folder, and what has to hold between them.

    Any number of threads and processes may use one folder.
    """

    directory: Path
    lock: FileLock
    blobs: BlobDirectory
    names: NameIndex
    leases: LeaseDirectory
    partials: PartialDirectory
    bundles: BundleDirectory
    facts: FactsCache
    uses: UseDirectory
    inbox: Inbox
    guests: Callable[[], frozenset[Digest]] = frozenset
    """Manifests of other layouts, whose bundles and facts are here."""

    @classmethod
    def open(cls, directory: Path, *, lock_timeout_s: float = 30.0) -> ImageLayout:
        """Open a layout; where there is none, an empty one is made.

        Raises:
            InUseError: Another process keeps it locked.
        """
        blobs = BlobDirectory(directory / "blobs")
        lock = FileLock(directory / "lock", lock_timeout_s)
        layout = cls(
            directory=directory,
            lock=lock,
            blobs=blobs,
            names=NameIndex(directory / "index.json"),
            leases=LeaseDirectory(directory / "leases", lock),
            partials=PartialDirectory(directory / "partials"),
            bundles=BundleDirectory(directory / "bundles", blobs, lock),
            facts=FactsCache(directory / "facts"),
            uses=UseDirectory(directory / "uses"),
            inbox=Inbox(directory / "inbox", blobs),
        )
        layout._prepare()
        return layout

    def _prepare(self) -> None:
        for folder in (
            self.blobs.directory / "sha256",
            self.leases.directory,
            self.partials.directory,
            self.bundles.directory,
            self.facts.directory,
            self.uses.directory,
            self.inbox.directory,
        ):
            folder.mkdir(parents=True, exist_ok=True)
        if (self.directory / "oci-layout").exists():
            return
        with self.lock.hold():
            if not self.names.path.exists():
                self.names.write(())
            write_atomically(self.directory / "oci-layout", LAYOUT_MARK)

    def add_blob(self, data: bytes, digest: Digest, lease: Lease) -> None:
        """Keep a small blob whose digest was checked; one that is here already is a no-op."""
        lease.protect((digest,))
        path = self.blobs.path(digest)
        if path.exists() and path.stat().st_size == len(data):
            return
        with lease.partial(algorithm=digest.algorithm) as partial:
            partial.write(data)
            partial.publish(self.blobs)

    def commit(
        self,
        reference: Reference,
        stored: StoredManifest,
        lease: Lease,
        *,
        source: Reference | None = None,
    ) -> Entry:
        """Give a manifest, all of whose blobs are here, a name.

        Args:
            reference: The name; of a pinned one only the digest is kept.
            stored: The manifest.
            lease: It protects the blobs until the name does.
            source: Under which name it was pulled; None for what was made here.
        """
        self.add_blob(stored.data, stored.digest, lease)
        entry = Entry.of(
            index_name(reference),
            stored.digest,
            size_bytes=len(stored.data),
            media_type=stored.media_type,
            source=source,
        )
        with self.lock.hold():
            self.name(entry)
        return entry

    def name(self, entry: Entry) -> None:
        """Give a model a name; one that stands already moves. Call it under the lock.

        A model that loses its last name so is deleted like any other.
        """
        before = self.names.entries()
        if entry in before:
            return
        others = tuple(other for other in before if other.reference != entry.reference)
        self.names.write((*others, entry))
        if len(others) < len(before):
            try:
                self.collect((*others, entry))
            except InvalidArtifactError as exc:
                # The new name stands and is good: somebody else's damage is not its error.
                _log.warning("Nothing was deleted when %s moved: %s", entry.reference, exc)

    def collect(self, kept: Iterable[Entry]) -> Collection:
        """Name nothing but the given entries, and delete what they do not need.

        Call it under the lock. What a living lease protects or somebody uses stays too.

        Raises:
            InvalidArtifactError: A kept manifest is damaged, so that nobody can tell what it
                needs; nothing was changed.
        """
        kept = tuple(kept)
        needed, manifests = self._needed(kept)
        self.names.write(kept)
        freed_bytes = sum(item.freed_bytes for item in self.bundles.clear(manifests))
        self.facts.remove_all_but(manifests)
        deleted = []
        for digest, size_bytes in self._unneeded(needed):
            self.blobs.path(digest).unlink()
            freed_bytes += size_bytes
            deleted.append(digest)
        return Collection(tuple(deleted), freed_bytes)

    def prune(self, *, min_age_s: float, dry_run: bool) -> Pruning:
        """Delete what neither a name nor a living process needs. Call it under the lock.

        Raises:
            InvalidArtifactError: A manifest is damaged; nothing was changed.
        """
        # What the dead have left is no use to anybody: it has no age to reach.
        dead = tuple(self.leases.dead_partials())
        dead_bytes = sum(path.stat().st_size for path in dead)
        needed, manifests = self._needed(self.names.entries(), bury=not dry_run)
        oldest_s = time.time() - min_age_s
        blobs = tuple(
            (digest, size_bytes)
            for digest, size_bytes in self._unneeded(needed)
            if self.blobs.path(digest).stat().st_mtime <= oldest_s
        )
        if not dry_run:
            for digest, _ in blobs:
                self.blobs.path(digest).unlink()
            self.facts.remove_all_but(manifests)
        bundles = tuple(self.bundles.clear(manifests, min_age_s=min_age_s, dry_run=dry_run))
        partials = tuple(self.partials.clear(min_age_s=min_age_s, dry_run=dry_run))
        unwanted = tuple(self.inbox.clear(min_age_s=min_age_s, dry_run=dry_run))
        unfinished = tuple(self._unfinished(oldest_s))
        unfinished_bytes = sum(path.stat().st_size for path in unfinished)
        if not dry_run:
            for path in unfinished:
                path.unlink(missing_ok=True)
        return Pruning(
            blobs=tuple(digest for digest, _ in blobs),
            leftovers=len(partials) + len(unwanted) + len(dead) + len(unfinished),
            bundles=len(bundles),
            freed_bytes=sum(size_bytes for _, size_bytes in blobs)
            + sum(item.freed_bytes for item in bundles)
            + sum(item.size_bytes for item in partials)
            + sum(unwanted)
            + dead_bytes
            + unfinished_bytes,
        )

    def _unfinished(self, oldest_s: float) -> Iterator[Path]:
        """Small files that a dead process did not come to rename."""
        for folder, name in (
            (self.directory, f".{self.names.path.name}.*"),
            (self.facts.directory, ".*"),
            (self.uses.directory, ".*"),
        ):
            for path in folder.glob(name):
                with contextlib.suppress(FileNotFoundError):
                    if path.is_file() and path.stat().st_mtime <= oldest_s:
                        yield path

    def _needed(
        self, kept: Iterable[Entry], *, bury: bool = True
    ) -> tuple[set[Digest], frozenset[Digest]]:
        """The blobs that names, leases and uses need; and the manifests whose bundles stay."""
        kept = tuple(kept)
        needed = {digest for entry in kept for digest in self._needs(entry)}
        needed |= self.leases.protected(bury=bury)
        used = self.uses.users()
        for digest in used:
            # A damaged one in use has been read already: what it needs is its user's open files.
            with contextlib.suppress(InvalidArtifactError):
                needed.update(self._reachable(digest))
        named = frozenset(entry.digest for entry in kept)
        return needed, named | frozenset(used) | self.guests()

    def _unneeded(self, needed: set[Digest]) -> Iterator[tuple[Digest, int]]:
        for digest in tuple(self.blobs.digests()):
            if digest not in needed:
                yield digest, self.blobs.path(digest).stat().st_size

    def _needs(self, entry: Entry) -> Iterator[Digest]:
        """The blobs of a named manifest, itself included."""
        if not self.blobs.path(entry.digest).exists():
            return
        try:
            yield from self._reachable(entry.digest)
        except InvalidArtifactError as exc:
            raise InvalidArtifactError(
                f"The manifest of {entry.reference or entry.digest} cannot be read, so nothing can"
                f" be deleted safely: remove that model first, or mend it with"
                f" `stoker verify --repair`. ({exc})"
            ) from exc

    def _reachable(self, digest: Digest) -> Iterator[Digest]:
        yield digest
        data = self.blobs.read(digest, limit_bytes=MAX_MANIFEST_BYTES)
        if media_type_of(data) in INDEX_TYPES:
            # Stoker names no index, but another tool may have.
            for wire in decode_index(data).manifests or ():
                child = wire.to_domain().digest
                if self.blobs.path(child).exists():
                    yield from self._reachable(child)
            return
        yield from (blob.digest for blob in decode_manifest(data).blobs)
